package synth

import "emberwing/camera"

// sensor turns layers into what a small camera records.
type sensor struct {
	rows  []uint32 // row-major packed pixels after motion blur
	left  []int32  // vignette by column, 8.8
	tone  [4096]uint8
	noise [1 << 14]int8
}

func newSensor(w, h int, seed uint64, exposure float32) *sensor {
	s := &sensor{rows: make([]uint32, w*h), left: make([]int32, w)}
	for i := range s.tone {
		u := float32(float32(i) / 1023 * exposure) // 1.0 is 255 before the shoulder
		if u > 0.8 {
			u = 0.8 + float32(0.2*(1-exp(-float64((u-0.8)*5))))
		}
		s.tone[i] = level(u)
	}
	r := newRNG(seed, 13)
	for i := range s.noise {
		s.noise[i] = int8(r.below(13)+r.below(13)+r.below(13)) - 18
	}
	return s
}

// gather transposes columns into rows with a 2-pixel softening and sideways
// motion blur over four taps.
func (s *sensor) gather(cols []uint32, w, h, blur int) {
	s1, s2, s3 := (blur+2)/3, (2*blur+2)/3, blur
	for x := range w {
		a, b := cols[x*h:x*h+h], cols[min(x+max(s1, 1), w-1)*h:][:h]
		c, d := cols[min(x+s2, w-1)*h:][:h], cols[min(x+max(s3, 1), w-1)*h:][:h]
		last := average(average(a[0], b[0]), average(c[0], d[0]))
		for y := range h {
			next := average(average(a[y], b[y]), average(c[y], d[y]))
			s.rows[y*w+x] = average(last, next)
			last = next
		}
	}
}

// develop writes the frame from the gathered rows and the effects layer.
func (s *sensor) develop(f *camera.Frame, fx *effects, seq uint64) {
	w, h := f.Width, f.Height
	for x := range w {
		u := float32(2*x-w) / float32(w)
		s.left[x] = int32(float32(256 * (1 - float32(0.16*float32(u*u)))))
	}
	for y := range h {
		u := float32(2*y-h) / float32(w)
		gain := int32(float32(256 * (1 - float32(0.16*float32(u*u)))))
		at := int(mix64(seq*8191+uint64(y))) & (len(s.noise) - 1)
		fx.lineUp(y)
		s.line(f.Pix[y*f.Stride:][:w*3], s.rows[y*w:(y+1)*w], fx, gain, at)
	}
}

// line develops one row: background through the effects' transmittance, plus
// their light, times the vignette, plus noise, through the tone curve.
func (s *sensor) line(dst []uint8, src []uint32, fx *effects, gain int32, at int) {
	if !fx.busy {
		s.plain(dst, src, gain, at)
		return
	}
	for x, c := range src {
		e := &fx.line[x>>1]
		n := &fx.line[(x>>1)+x&1]
		keep := (e.keep + n.keep) >> 1
		v := s.left[x] * gain >> 8
		g := int32(s.noise[(at+x)&(len(s.noise)-1)])
		r := (int32(c>>16&255)*keep>>8 + (e.r+n.r)>>1) * v >> 14
		gr := (int32(c>>8&255)*keep>>8 + (e.g+n.g)>>1) * v >> 14
		b := (int32(c&255)*keep>>8 + (e.b+n.b)>>1) * v >> 14
		dst[3*x] = s.tone[min(max(r+g, 0), 4095)]
		dst[3*x+1] = s.tone[min(max(gr+g, 0), 4095)]
		dst[3*x+2] = s.tone[min(max(b+g, 0), 4095)]
	}
}

func (s *sensor) plain(dst []uint8, src []uint32, gain int32, at int) {
	for x, c := range src {
		v := s.left[x] * gain >> 8
		g := int32(s.noise[(at+x)&(len(s.noise)-1)])
		r, gr, b := int32(c>>16&255)*v>>6, int32(c>>8&255)*v>>6, int32(c&255)*v>>6
		dst[3*x] = s.tone[min(max(r+g, 0), 4095)]
		dst[3*x+1] = s.tone[min(max(gr+g, 0), 4095)]
		dst[3*x+2] = s.tone[min(max(b+g, 0), 4095)]
	}
}
