package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Size of the picture in pixels.
const (
	svgWidth, svgHeight                  = 760, 460
	padLeft, padRight, padTop, padBottom = 80, 30, 50, 70
	plotWidth, plotHeight                = svgWidth - padLeft - padRight, svgHeight - padTop - padBottom
	frontColour, behindColour            = "#1b6ca8", "#888888"
	axisColour, backgroundColour         = "#333333", "#ffffff"
)

// point is one mode with both an accuracy and a speed.
type point struct {
	name     string
	x, y     float64 // p50 in ms, accuracy in percent
	interval Interval
	front    bool // no other mode is both faster and more accurate
}

// points returns the modes that the picture can show, and marks the front.
func (r *Report) points() []point {
	var ps []point
	for _, m := range r.Modes {
		if m.Accuracy == nil || m.Latency == nil || m.SpeedOnly != "" {
			continue
		}
		ps = append(ps, point{name: m.Mode, x: m.Latency.P50, y: 100 * m.Accuracy.Accuracy,
			interval: Interval{100 * m.Accuracy.Interval.Low, 100 * m.Accuracy.Interval.High}})
	}
	for i, p := range ps {
		ps[i].front = !slices.ContainsFunc(ps, func(o point) bool { return dominates(o, p) })
	}
	slices.SortFunc(ps, func(a, b point) int { return compare(a.x, b.x) })
	return ps
}

// dominates reports whether a is at least as good as b in both and better in one.
func dominates(a, b point) bool { return a.x <= b.x && a.y >= b.y && (a.x < b.x || a.y > b.y) }

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// scale maps values to pixels.
type scale struct{ x0, x1, y0, y1 float64 }

func (s scale) x(v float64) float64 { return padLeft + (v-s.x0)/(s.x1-s.x0)*plotWidth }
func (s scale) y(v float64) float64 { return padTop + (s.y1-v)/(s.y1-s.y0)*plotHeight }

// scaleOf covers latencies from 0 and accuracies with their intervals.
func scaleOf(ps []point) scale {
	s := scale{0, 1, 100, 0}
	for _, p := range ps {
		s.x1, s.y0, s.y1 = math.Max(s.x1, 1.2*p.x), math.Min(s.y0, p.interval.Low), math.Max(s.y1, p.interval.High)
	}
	if len(ps) == 0 {
		s.y0, s.y1 = 0, 100
	}
	margin := math.Max(0.5, (s.y1-s.y0)/10)
	s.y0, s.y1 = s.y0-margin, s.y1+margin
	return s
}

// WriteSVG draws accuracy over latency with the Pareto front; modes without
// both are named below, not drawn.
func (r *Report) WriteSVG(out io.Writer) error {
	ps := r.points()
	d := &drawing{scale: scaleOf(ps)}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`font-family="sans-serif" font-size="12">`+"\n",
		svgWidth, svgHeight, svgWidth, svgHeight)
	fmt.Fprintf(d, `<rect width="%d" height="%d" fill="%s"/>`+"\n", svgWidth, svgHeight, backgroundColour)
	d.text(padLeft, 20, "start", axisColour, fmt.Sprintf("%s %s: accuracy over latency, %d pictures", r.Run.Model,
		r.Run.ModelVersion, r.Run.Images))
	d.text(padLeft, 36, "start", behindColour, fmt.Sprintf("%s, %d thread(s), ONNX Runtime %s; bars: 95 %% intervals",
		r.Run.Environment.CPU, r.Run.Environment.Threads, r.Run.Environment.Runtime))
	d.axes()
	d.front(ps)
	for i, p := range ps {
		d.point(p, i)
	}
	if missing := r.undrawn(ps); missing != "" {
		d.text(padLeft, svgHeight-12, "start", behindColour, missing)
	}
	fmt.Fprintln(d, "</svg>")
	_, err := io.WriteString(out, d.String())
	return err
}

// undrawn names the modes that lack a speed or an accuracy.
func (r *Report) undrawn(ps []point) string {
	var names []string
	for _, m := range r.Modes {
		if !slices.ContainsFunc(ps, func(p point) bool { return p.name == m.Mode }) {
			names = append(names, m.Mode)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "not drawn, speed or accuracy not measured: " + strings.Join(names, ", ")
}

// drawing collects the elements.
type drawing struct {
	strings.Builder
	scale
}

func (d *drawing) text(x, y float64, anchor, colour, s string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">`, x, y, anchor, colour)
	xml.EscapeText(d, []byte(s))
	fmt.Fprintln(d, "</text>")
}

func (d *drawing) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

func (d *drawing) axes() {
	d.line(padLeft, padTop+plotHeight, padLeft+plotWidth, padTop+plotHeight, axisColour)
	d.line(padLeft, padTop, padLeft, padTop+plotHeight, axisColour)
	for i := range 6 {
		share := float64(i) / 5
		x, y := d.x0+share*(d.x1-d.x0), d.y0+share*(d.y1-d.y0)
		d.text(d.x(x), padTop+plotHeight+18, "middle", axisColour, fmt.Sprintf("%.1f", x))
		d.text(padLeft-8, d.y(y)+4, "end", axisColour, fmt.Sprintf("%.1f", y))
	}
	d.text(padLeft+plotWidth/2, padTop+plotHeight+38, "middle", axisColour, "latency p50, ms")
	fmt.Fprintf(d, `<text transform="translate(20 %d) rotate(-90)" text-anchor="middle" `+
		`fill="%s">accuracy, %%</text>`+"\n",
		padTop+plotHeight/2, axisColour)
}

// front joins the undominated modes.
func (d *drawing) front(ps []point) {
	var corners []string
	for _, p := range ps {
		if p.front {
			corners = append(corners, fmt.Sprintf("%.1f,%.1f", d.x(p.x), d.y(p.y)))
		}
	}
	if len(corners) > 1 {
		fmt.Fprintf(d, `<polyline points="%s" fill="none" stroke="%s" stroke-dasharray="4 3"/>`+"\n",
			strings.Join(corners, " "), frontColour)
	}
}

// point draws one mode; labels alternate above and below, so that neighbours
// stay readable.
func (d *drawing) point(p point, i int) {
	colour := behindColour
	if p.front {
		colour = frontColour
	}
	x, y := d.x(p.x), d.y(p.y)
	d.line(x, d.y(p.interval.Low), x, d.y(p.interval.High), colour)
	fmt.Fprintf(d, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`+"\n", x, y, colour)
	shift := -10.0
	if i%2 == 1 {
		shift = 20
	}
	d.text(x+8, y+shift, "start", colour, p.name)
}
