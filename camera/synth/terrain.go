package synth

import "slices"

// The detail map is periodic: mapSize texels of texel metres along each side.
const (
	mapBits  = 10
	mapSize  = 1 << mapBits
	texel    = 0.5 // metres
	mapSpan  = mapSize * texel
	mapMips  = 6
	macroDim = 128  // cells of the rolling hills
	macroRes = 32.0 // metres per cell
	worldLen = macroDim * macroRes
)

// terrain is the ground: texels hold colour in the low 24 bits and height in
// quarter metres in the high 8, one slice per mip level. hills holds the
// height of the rolling ground below it, in 1/256 m.
type terrain struct {
	mips  [mapMips][]uint32
	hills []int32
	floor []float32 // metres of the detail map without trees, every 16th texel
	tint  []uint8   // brightness of the ground per hill cell, 128 is neutral
}

// land is the state of a terrain under construction, one value per texel.
type land struct {
	seed   uint64
	look   look
	height []float32 // metres
	colour []vec
	forest []float32
	fine   []float32
	rough  []float32
	bare   []float32 // height without trees and houses
}

// newTerrain grows the ground of one seed.
func newTerrain(seed uint64, lk look, site [2]float64) *terrain {
	l := &land{seed: seed, look: lk}
	l.base()
	l.fields()
	l.waterAndRoad()
	l.clearing(site)
	l.bare = slices.Clone(l.height)
	floor := l.sparse(16)
	l.houses()
	l.trees()
	lit := l.light()
	t := &terrain{floor: floor}
	t.mips[0] = lit
	for i := 1; i < mapMips; i++ {
		t.mips[i] = halve(t.mips[i-1], mapSize>>(i-1))
	}
	t.grow(seed, lk)
	return t
}

// base lays grass and soil over gentle relief.
func (l *land) base() {
	relief := fbm(mapSize, l.seed^0x11, 2, 4, 0.45)
	l.forest = fbm(mapSize, l.seed^0x12, 4, 6, 0.55)
	l.rough = fbm(mapSize, l.seed^0x13, 8, 7, 0.65)
	l.fine = fbm(mapSize, l.seed^0x14, 128, 4, 0.8)
	l.height = make([]float32, mapSize*mapSize)
	l.colour = make([]vec, mapSize*mapSize)
	for i := range l.height {
		l.height[i] = float32(relief[i]*14) + float32(l.fine[i]*0.5)
		dry := ramp(0.35, 0.7, l.rough[i]+l.look.dryness-0.5)
		c := l.look.grass.mix(l.look.soil, dry)
		l.colour[i] = c.scale(0.62 + float32(0.76*l.fine[i]))
	}
}

// fields lays rectangular crops with rows over open ground.
func (l *land) fields() {
	r := newRNG(l.seed, 21)
	for range 7 {
		x0, y0 := r.below(mapSize), r.below(mapSize)
		w, h := 90+r.below(130), 90+r.below(130)
		c := l.look.crops[r.below(len(l.look.crops))]
		period := 5 + r.below(7)
		along := r.below(2) == 0
		for y := range h {
			for x := range w {
				i := (y0+y)&(mapSize-1)*mapSize + (x0+x)&(mapSize-1)
				if l.forest[i] > l.look.forestFrom-0.04 {
					continue
				}
				row := x
				if along {
					row = y
				}
				stripe := 0.88 + float32(0.24*float32(row%period)/float32(period))
				l.colour[i] = c.scale(float32(stripe * (0.75 + float32(0.5*l.fine[i]))))
			}
		}
	}
}

// waterAndRoad cuts one river and two roads that close over the map's period.
func (l *land) waterAndRoad() {
	r := newRNG(l.seed, 22)
	river := newStroke(r, 40, float32(l.look.riverWidth))
	road, track := newStroke(r, 18, 3.5), newStroke(r, 30, 1.8)
	for y := range mapSize {
		for x := range mapSize {
			i := y*mapSize + x
			if d := river.distance(x, y); d < 10 {
				l.bank(i, d)
			}
			if d := road.distance(y, x); d < 1.5 {
				l.pave(i, d, l.look.asphalt)
			}
			if d := track.distance(x, y); d < 1.2 {
				l.pave(i, d, l.look.gravel)
			}
		}
	}
}

// bank shapes water (d<0) and its shore, d in metres from the water's edge.
func (l *land) bank(i int, d float32) {
	k := ramp(-1, 10, d)
	l.height[i] = lerp(0.5, l.height[i], k)
	l.forest[i] = min(l.forest[i], l.look.forestFrom-0.05+float32(0.2*k))
	switch {
	case d < 0:
		l.colour[i] = l.look.water.scale(0.9 + float32(0.2*l.fine[i]))
	case d < 3:
		l.colour[i] = l.colour[i].mix(l.look.gravel, 0.7*(1-d/3))
	}
}

func (l *land) pave(i int, d float32, c vec) {
	k := 1 - ramp(-0.2, 1.2, d)
	l.colour[i] = l.colour[i].mix(c.scale(0.85+float32(0.3*l.fine[i])), k)
	l.forest[i] = min(l.forest[i], l.look.forestFrom-0.08)
}

// clearing thins the trees around the place of the fire and dries its grass,
// so that the flames stand free.
func (l *land) clearing(site [2]float64) {
	const shift = 22 - 3
	cx, cy := int(worldFixed(site[0])>>shift), int(worldFixed(site[1])>>shift)
	const reach = 76
	for y := -reach; y <= reach; y++ {
		for x := -reach; x <= reach; x++ {
			i := (cy+y)&(mapSize-1)*mapSize + (cx+x)&(mapSize-1)
			d := sqrt(float32(x*x+y*y)) * (0.7 + float32(0.6*l.rough[i]))
			k := 1 - ramp(36, 70, d)
			l.colour[i] = l.colour[i].mix(l.look.soil.scale(0.55+float32(0.3*l.fine[i])), float32(0.7*k))
			if d < 50 {
				l.forest[i] = min(l.forest[i], l.look.forestFrom-0.06)
			}
			l.height[i] = max(l.height[i], 1)
		}
	}
}

// stroke is a meandering line x = centre(y) of some half width, in metres.
type stroke struct {
	width  float32
	centre [mapSize]float32
}

func newStroke(r *rng, swing, width float32) *stroke {
	s := &stroke{width: width}
	at := r.between(0, mapSpan)
	p1, p2 := r.between(0, 6.28), r.between(0, 6.28)
	for y := range s.centre {
		u := float64(float64(y) / mapSize * 360 * degree)
		wave := sin(u+float64(p1)) + float32(0.35*sin(float64(3*u)+float64(p2)))
		s.centre[y] = at + float32(swing*wave)
	}
	return s
}

// distance is metres from the stroke's edge at texel (x,y), negative inside.
func (s *stroke) distance(x, y int) float32 {
	d := float32(float32(x)*texel) - s.centre[y]
	for d > mapSpan/2 {
		d -= mapSpan
	}
	for d < -mapSpan/2 {
		d += mapSpan
	}
	return max(d, -d) - s.width
}

// houses puts gabled roofs in a few hamlets.
func (l *land) houses() {
	r := newRNG(l.seed, 23)
	for range l.look.hamlets {
		cx, cy := r.below(mapSize), r.below(mapSize)
		for range 3 + r.below(5) {
			x, y := cx+r.below(120)-60, cy+r.below(120)-60
			w, h := 14+r.below(10), 20+r.below(14)
			if r.below(2) == 0 {
				w, h = h, w
			}
			l.house(x, y, w, h, l.look.roofs[r.below(len(l.look.roofs))])
		}
	}
}

func (l *land) house(x0, y0, w, h int, roof vec) {
	floor := l.bare[y0&(mapSize-1)*mapSize+x0&(mapSize-1)]
	for y := -6; y < h+6; y++ {
		for x := -6; x < w+6; x++ {
			i := (y0+y)&(mapSize-1)*mapSize + (x0+x)&(mapSize-1)
			l.forest[i] = 0
			if x < 0 || y < 0 || x >= w || y >= h {
				continue
			}
			across, span := x, w
			if w > h {
				across, span = y, h
			}
			ridge := 1 - float32(abs(2*across-span))/float32(span)
			l.height[i] = floor + 3.2 + float32(2.6*ridge)
			l.colour[i] = roof.scale(0.85 + float32(0.3*l.fine[i]))
		}
	}
}

func abs(a int) int { return max(a, -a) }

// trees scatters crowns over the forest, one try per jittered grid cell.
func (l *land) trees() {
	r := newRNG(l.seed, 24)
	const cell = 7
	for gy := 0; gy < mapSize; gy += cell {
		for gx := 0; gx < mapSize; gx += cell {
			x, y := gx+r.below(cell), gy+r.below(cell)
			size, shade := r.unit(), r.unit()
			lone := r.unit() < 0.012
			f := l.forest[y&(mapSize-1)*mapSize+x&(mapSize-1)]
			if (f > l.look.forestFrom || lone) && f > l.look.forestFrom-0.05 {
				l.crown(x, y, size, shade)
			}
		}
	}
}

// crown raises one tree: a cone for conifers, a dome for broad leaves.
func (l *land) crown(x0, y0 int, size, shade float32) {
	lk := &l.look
	radius := lerp(lk.crown[0], lk.crown[1], size)
	top := lerp(lk.tall[0], lk.tall[1], float32(size*0.6)+float32(shade*0.4))
	base := l.bare[y0&(mapSize-1)*mapSize+x0&(mapSize-1)]
	leaf := lk.leaf[0].mix(lk.leaf[1], shade)
	n := int(radius) + 2
	for y := -n; y <= n; y++ {
		for x := -n; x <= n; x++ {
			i := (y0+y)&(mapSize-1)*mapSize + (x0+x)&(mapSize-1)
			d := sqrt(float32(x*x+y*y))/radius + float32((l.fine[i]-0.5)*0.9)
			if d >= 1 {
				continue
			}
			rise := lerp(1-d, sqrt(1-float32(max(d, 0)*max(d, 0))), 0.2+float32(0.8*lk.broad))
			h := base + float32(top*(0.12+float32(0.88*rise))) + float32((l.fine[i]-0.5)*2.5)
			if h > l.height[i] {
				l.height[i] = h
				l.colour[i] = leaf.scale(0.35 + float32(0.45*rise) + float32(0.5*l.fine[i]))
			}
		}
	}
}

// light bakes sun, sky and cast shadow into packed texels.
func (l *land) light() []uint32 {
	out := make([]uint32, mapSize*mapSize)
	sun := l.look.sun
	for y := range mapSize {
		for x := range mapSize {
			i := y*mapSize + x
			e := l.height[y*mapSize+(x+1)&(mapSize-1)]
			s := l.height[(y+1)&(mapSize-1)*mapSize+x]
			h := l.height[i]
			n := vec{float32((h - e) * 0.7), float32((h - s) * 0.7), texel}.unit()
			direct := max(n.dot(sun), 0)
			if direct > 0 {
				direct *= l.sunlit(x, y, h)
			}
			sky := 0.5 + float32(0.5*n.z)
			lit := l.look.sunlight.scale(direct).add(l.look.skylight.scale(sky))
			c := l.colour[i].times(lit).scale(1.3) // leaves room for tint and grain, which only darken
			out[i] = c.pack() | uint32(min(max(float32(h*4), 0), 255))<<24
		}
	}
	return out
}

// sunlit walks toward the sun and returns how much of it is not blocked.
func (l *land) sunlit(x, y int, h float32) float32 {
	sun := l.look.sun
	flat := max(sqrt(float32(sun.x*sun.x)+float32(sun.y*sun.y)), 0.01)
	dx, dy, dh := sun.x/flat, sun.y/flat, float32(sun.z/flat*texel)
	open := float32(1)
	for k := 1; k <= 22; k++ {
		step := float32(k) * 1.3
		i := (y+int(float32(dy*step)))&(mapSize-1)*mapSize + (x+int(float32(dx*step)))&(mapSize-1)
		over := l.height[i] - h - float32(dh*step)
		if over > 0 {
			open = min(open, 1-float32(over*0.6))
		}
	}
	return max(open, 0.08)
}

// halve box-filters an n×n map; heights keep their upper half so that trees
// do not sink with distance.
func halve(src []uint32, n int) []uint32 {
	m := n / 2
	dst := make([]uint32, m*m)
	for y := range m {
		for x := range m {
			a, b := src[2*y*n+2*x], src[2*y*n+2*x+1]
			c, d := src[(2*y+1)*n+2*x], src[(2*y+1)*n+2*x+1]
			hi := max(a>>24, b>>24, c>>24, d>>24)
			mean := (a>>24 + b>>24 + c>>24 + d>>24) / 4
			rgb := average(average(a, b), average(c, d)) & 0xffffff
			dst[y*m+x] = rgb | (hi+mean)/2<<24
		}
	}
	return dst
}

// average returns the mean of two packed pixels, channel by channel.
func average(a, b uint32) uint32 { return a&b + (a^b)>>1&0x7f7f7f7f }

// grow makes the rolling hills under the detail map and their tint.
func (t *terrain) grow(seed uint64, lk look) {
	f := fbm(macroDim, seed^0x31, 4, 4, 0.5)
	g := fbm(macroDim, seed^0x32, 8, 4, 0.7)
	t.hills = make([]int32, macroDim*macroDim)
	t.tint = make([]uint8, macroDim*macroDim)
	for i := range f {
		t.hills[i] = int32(float32(f[i]*lk.hills) * 256)
		t.tint[i] = uint8(90 + float32(38*g[i]))
	}
}

// sparse copies every n-th height.
func (l *land) sparse(n int) []float32 {
	out := make([]float32, 0, mapSize/n*mapSize/n)
	for y := 0; y < mapSize; y += n {
		for x := 0; x < mapSize; x += n {
			out = append(out, l.height[y*mapSize+x])
		}
	}
	return out
}

// bare is the height of the ground without trees and houses at a position.
func (t *terrain) bare(x, y float64) float64 {
	const shift = 22 - 3 + 4
	i := worldFixed(y)>>shift&63<<6 | worldFixed(x)>>shift&63
	return t.hill(x, y) + float64(t.floor[i])
}

// hill returns the height of the rolling ground in metres at a world position.
func (t *terrain) hill(x, y float64) float64 {
	return float64(t.hillFixed(worldFixed(x), worldFixed(y))) / 256
}

// worldFixed maps metres to a coordinate whose 2^32 is the world's period.
func worldFixed(m float64) uint32 { return uint32(int64(m * (1 << 32) / worldLen)) }

// hillFixed interpolates the hills in 1/256 m.
func (t *terrain) hillFixed(x, y uint32) int {
	const shift = 32 - 7
	cx, cy := int(x>>shift), int(y>>shift)
	fx, fy := int(x>>(shift-8)&255), int(y>>(shift-8)&255)
	ex, ey := (cx+1)&(macroDim-1), (cy+1)&(macroDim-1)
	a, b := int(t.hills[cy*macroDim+cx]), int(t.hills[cy*macroDim+ex])
	c, d := int(t.hills[ey*macroDim+cx]), int(t.hills[ey*macroDim+ex])
	top := a<<8 + (b-a)*fx
	bot := c<<8 + (d-c)*fx
	return (top<<8 + (bot-top)*fy) >> 16
}
