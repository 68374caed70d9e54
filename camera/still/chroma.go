package still

import "image"

// upsampler turns the planes of a JPEG into RGB rows with libjpeg's default
// ("fancy") chroma upsampling and its integer colour conversion.
type upsampler struct {
	img        *image.YCbCr
	w, h       int // of the picture
	cw, ch     int // of the chroma planes, without padding
	divX, divY int // luma pixels per chroma sample
	cb, cr     []uint8
	sums       []int // one column sum per chroma sample
}

// newUpsampler prepares the scratch rows for img.
func newUpsampler(img *image.YCbCr) *upsampler {
	u := &upsampler{img: img, w: img.Rect.Dx(), h: img.Rect.Dy()}
	u.divX, u.divY = ratio(img.SubsampleRatio)
	u.cw, u.ch = (u.w+u.divX-1)/u.divX, (u.h+u.divY-1)/u.divY
	u.cb, u.cr = make([]uint8, u.cw*u.divX), make([]uint8, u.cw*u.divX)
	u.sums = make([]int, u.cw)
	return u
}

// ratio returns how many luma pixels share a chroma sample in x and y.
func ratio(r image.YCbCrSubsampleRatio) (x, y int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// row writes row y as RGB.
func (u *upsampler) row(dst []byte, y int) {
	u.fill(u.cb, u.img.Cb, y)
	u.fill(u.cr, u.img.Cr, y)
	luma := u.img.Y[y*u.img.YStride:][:u.w]
	cb, cr := u.cb[:len(luma)], u.cr[:len(luma)]
	for x, l := range luma {
		rgb(dst[3*x:3*x+3], int(l), int(cb[x])-128, int(cr[x])-128)
	}
}

// fill computes the chroma of row y at full width. libjpeg filters only the
// ratios 2:1, and sideways only planes wider than two samples.
func (u *upsampler) fill(dst, plane []uint8, y int) {
	near := u.samples(plane, y/u.divY)
	wide := u.divX == 2 && u.cw > 2
	switch {
	case wide && u.divY == 2:
		u.blend(near, u.samples(plane, u.neighbour(y)))
		both(dst, u.sums)
	case wide && u.divY == 1:
		sideways(dst, near)
	case u.divX == 1 && u.divY == 2:
		upright(dst, near, u.samples(plane, u.neighbour(y)), 1+y%2)
	default:
		repeat(dst, near, u.divX)
	}
}

// samples returns row y of a chroma plane.
func (u *upsampler) samples(plane []uint8, y int) []uint8 {
	return plane[y*u.img.CStride:][:u.cw]
}

// neighbour returns the chroma row that is second nearest to luma row y: the
// one above an even row and below an odd one.
func (u *upsampler) neighbour(y int) int {
	return min(max(y/2-1+y%2*2, 0), u.ch-1)
}

// blend sums three parts of the near row and one of the far row.
func (u *upsampler) blend(near, far []uint8) {
	far = far[:len(near)]
	for i, v := range near {
		u.sums[i] = 3*int(v) + int(far[i])
	}
}

// both widens column sums to twice their number (h2v2).
func both(dst []uint8, sums []int) {
	last := len(sums) - 1
	for i, s := range sums {
		left, right := sums[max(i-1, 0)], sums[min(i+1, last)]
		dst[2*i] = uint8((3*s + left + 8) >> 4)
		dst[2*i+1] = uint8((3*s + right + 7) >> 4)
	}
}

// sideways widens a row to twice its number (h2v1).
func sideways(dst, row []uint8) {
	last := len(row) - 1
	for i, v := range row {
		left, right := int(row[max(i-1, 0)]), int(row[min(i+1, last)])
		dst[2*i] = uint8((3*int(v) + left + 1) >> 2)
		dst[2*i+1] = uint8((3*int(v) + right + 2) >> 2)
	}
}

// upright mixes two rows of full width (h1v2).
func upright(dst, near, far []uint8, bias int) {
	for i, v := range near {
		dst[i] = uint8((3*int(v) + int(far[i]) + bias) >> 2)
	}
}

// repeat copies each sample n times.
func repeat(dst, row []uint8, n int) {
	for i := range dst {
		dst[i] = row[i/n]
	}
}

// The coefficients of JFIF in 16 fractional bits, rounded as libjpeg does.
const (
	redCr   = 91881  // 1.40200
	greenCb = 22554  // 0.34414
	greenCr = 46802  // 0.71414
	blueCb  = 116130 // 1.77200
	oneHalf = 1 << 15
)

// rgb writes one pixel; cb and cr are centred at 0.
func rgb(dst []byte, y, cb, cr int) {
	dst[2] = clamp(y + (blueCb*cb+oneHalf)>>16)
	dst[1] = clamp(y + (-greenCb*cb-greenCr*cr+oneHalf)>>16)
	dst[0] = clamp(y + (redCr*cr+oneHalf)>>16)
}

// clamp limits v to 0..255.
func clamp(v int) byte { return byte(min(max(v, 0), 255)) }
