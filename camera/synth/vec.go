package synth

import "math"

// vec is a point, direction or linear colour with three components.
type vec struct{ x, y, z float32 }

func (a vec) add(b vec) vec       { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec) sub(b vec) vec       { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) scale(k float32) vec { return vec{float32(a.x * k), float32(a.y * k), float32(a.z * k)} }
func (a vec) times(b vec) vec {
	return vec{float32(a.x * b.x), float32(a.y * b.y), float32(a.z * b.z)}
}
func (a vec) dot(b vec) float32 {
	return float32(a.x*b.x) + float32(a.y*b.y) + float32(a.z*b.z)
}
func (a vec) mix(b vec, t float32) vec { return a.add(b.sub(a).scale(t)) }
func (a vec) len() float32             { return sqrt(a.dot(a)) }
func (a vec) unit() vec                { return a.scale(1 / max(a.len(), 1e-9)) }
func (a vec) cross(b vec) vec {
	return vec{
		float32(a.y*b.z) - float32(a.z*b.y),
		float32(a.z*b.x) - float32(a.x*b.z),
		float32(a.x*b.y) - float32(a.y*b.x),
	}
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// The float64 library functions differ in their last bit between processors;
// rounding to float32 at once hides that.
func sin(x float64) float32 { return float32(math.Sin(x)) }
func cos(x float64) float32 { return float32(math.Cos(x)) }
func exp(x float64) float32 { return float32(math.Exp(x)) }

const degree = math.Pi / 180

// pack turns a linear 0..1 colour into 0x00RRGGBB.
func (a vec) pack() uint32 {
	return uint32(level(a.x))<<16 | uint32(level(a.y))<<8 | uint32(level(a.z))
}

func level(v float32) uint8 { return uint8(float32(min(max(v, 0), 1) * 255)) }
