package synth

import "math"

// view is the camera of one frame: a pinhole whose pitch and roll are applied
// as a shift and shear of the picture, so that columns stay columns.
type view struct {
	w, h       int
	x, y, z    float64 // metres
	ground     float64 // metres, rolling ground below the camera
	fx, fy     float64 // unit vector forward, on the ground
	yaw        float64 // radians
	focal      float64 // pixels
	horizon    float64 // picture row of the horizon at the middle column
	roll       float64 // rows per column
	blurX      int     // pixels of sideways motion during the exposure
	t          float64 // seconds of flight
	fire, hand float64 // 0…1
}

// project returns the picture position and the depth in metres of a point;
// a depth below 1 is behind the camera.
func (v *view) project(p vec) (sx, sy, depth float32) {
	dx, dy := float64(p.x)-v.x, float64(p.y)-v.y
	d := float64(dx*v.fx) + float64(dy*v.fy)
	if d < 1 {
		return 0, 0, 0
	}
	side := float64(dx*v.fy) - float64(dy*v.fx)
	col := float64(float64(v.w)/2) + float64(side*v.focal)/d
	row := v.horizonAt(col) - float64((float64(p.z)-v.z)*v.focal)/d
	return float32(col), float32(row), float32(d)
}

func (v *view) horizonAt(col float64) float64 {
	return v.horizon + float64(v.roll*(col-float64(float64(v.w)/2)))
}

// viewAt places the camera at t seconds of the unscaled script.
func (f *Flight) viewAt(t float64) view {
	p := f.script.at(t)
	heading := float64(f.look.heading)
	along := f.script.travelled(t)
	v := view{w: f.width, h: f.height, t: t, fire: p.Fire, hand: p.Hand}
	v.x, v.y = f.startX+float64(along*f.alongX), f.startY+float64(along*f.alongY)
	v.ground = f.ground.hill(v.x, v.y)
	s := f.shake(t)
	v.z = v.ground + p.Altitude + float64(s[0]*0.25)
	v.yaw = heading - float64((p.Yaw+float64(s[1]*0.35)+float64(3*math.Sin(t*0.45)))*degree)
	v.fx, v.fy = float64(cos(v.yaw)), float64(sin(v.yaw))
	v.focal = float64(float64(v.w) * 0.77)
	v.horizon = float64(float64(v.h)/2) + float64(v.focal*math.Tan((p.Pitch+float64(s[2]*0.3))*degree))
	v.roll = math.Tan((float64(s[3]*0.9) + float64(1.5*math.Sin(float64(t*0.31)+1))) * degree)
	before := f.script.at(math.Max(t-0.02, 0)).Yaw
	v.blurX = int(min(float64(math.Abs(p.Yaw-before)*0.4*degree*v.focal)+math.Abs(float64(s[1])), 9))
	return v
}

// shake is high-frequency airframe motion in four independent directions,
// each about -1…1.
func (f *Flight) shake(t float64) [4]float64 {
	var s [4]float64
	for i := range s {
		for j := range 3 {
			w := f.shakes[i][j]
			s[i] += float64(float64(w.amp) * math.Sin(float64(t*float64(w.rate))+float64(w.phase)))
		}
	}
	return s
}

// wave is one sine of the shake: amplitude, radians per second, radians.
type wave struct{ amp, rate, phase float32 }

func newShakes(seed uint64) (s [4][3]wave) {
	r := newRNG(seed, 9)
	for i := range s {
		s[i] = [3]wave{
			{0.55, r.between(5, 9), r.between(0, 6.28)},
			{0.3, r.between(17, 29), r.between(0, 6.28)},
			{0.15, r.between(43, 67), r.between(0, 6.28)},
		}
	}
	return s
}
