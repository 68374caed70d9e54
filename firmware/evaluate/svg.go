package evaluate

import (
	"fmt"
	"html"
	"io"
	"strings"

	"emberwing/camera/degrade"
)

// drawing collects the elements of a picture in SVG.
type drawing struct{ strings.Builder }

func (d *drawing) text(x, y float64, anchor, s string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
}

func (d *drawing) rect(x, y, w, h float64, fill string) {
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, fill)
}

func (d *drawing) line(x0, y0, x1, y1 float64, stroke string) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x0, y0, x1, y1, stroke)
}

// The geometry of the picture, in pixels.
const (
	svgWidth  = 760
	left      = 130
	plotWidth = 600
	plotTop   = 60
	plotHigh  = 170
	cellHigh  = 22
	barHigh   = 18
)

// SVG writes the report as a picture: accuracy over resolution, a table of
// corruptions, and accuracy by source. title names the model.
func (r *Report) SVG(w io.Writer, title string) error {
	var d drawing
	y := d.resolutions(r, plotTop)
	y = d.corruptions(r, y+50)
	y = d.sources(r, y+50)
	s := r.Summary
	foot := fmt.Sprintf("%d pictures, seed %d; answers that change under one pixel: %s, under small motions: %s",
		s.Images, s.Seed, percent(s.Shifts.Labels), percent(s.Motions.Labels))
	d.text(20, y+30, "start", foot)
	_, err := fmt.Fprintf(
		w,
		`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
<text x="20" y="28" font-size="16">%s</text>
%s</svg>
`,
		svgWidth,
		y+50,
		svgWidth,
		y+50,
		html.EscapeString(title),
		d.String(),
	)
	return err
}

func percent(s *Share) string {
	if s == nil {
		return "not measured"
	}
	return fmt.Sprintf("%.1f %%", 100*s.Share)
}

// resolutions draws accuracy over the shorter side and returns where it ends.
func (d *drawing) resolutions(r *Report, top float64) float64 {
	d.text(20, top-8, "start", "Share of right answers by shorter side in pixels; whiskers: 95 %")
	at := func(share float64) float64 { return top + plotHigh*(1-share) }
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		d.line(left, at(share), left+plotWidth, at(share), "#dddddd")
		d.text(left-8, at(share)+4, "end", fmt.Sprintf("%.0f %%", 100*share))
	}
	d.line(left, at(r.Summary.Chance), left+plotWidth, at(r.Summary.Chance), "#cc0000")
	step := float64(plotWidth) / float64(max(len(r.Resolutions), 1))
	var path strings.Builder
	for i, l := range r.Resolutions {
		x := left + step*(float64(i)+0.5)
		d.text(x, top+plotHigh+16, "middle", fmt.Sprint(l.Side))
		if l.Right == nil {
			continue
		}
		d.line(x, at(l.Right.Interval.Low), x, at(l.Right.Interval.High), "#1f4e9c")
		d.rect(x-3, at(l.Right.Share)-3, 6, 6, "#1f4e9c")
		fmt.Fprintf(&path, "%.1f,%.1f ", x, at(l.Right.Share))
	}
	fmt.Fprintf(d, `<polyline points="%s" fill="none" stroke="#1f4e9c"/>`+"\n", strings.TrimSpace(path.String()))
	return top + plotHigh + 20
}

// corruptions draws a table, one row for each corruption.
func (d *drawing) corruptions(r *Report, top float64) float64 {
	d.text(20, top-8, "start", "Share of right answers by corruption and severity")
	wide := float64(plotWidth) / degrade.Severities
	for i, l := range r.Corruptions {
		row, col := float64(i/degrade.Severities), float64(l.Severity-1)
		y := top + row*cellHigh
		if l.Severity == 1 {
			d.text(left-8, y+15, "end", string(l.Corruption))
		}
		share := 0.0
		if l.Right != nil {
			share = l.Right.Share
		}
		d.rect(left+col*wide, y, wide-2, cellHigh-2, shade(share))
		d.text(left+(col+0.5)*wide, y+15, "middle", fmt.Sprintf("%.1f", 100*share))
	}
	return top + float64(len(r.Corruptions))/degrade.Severities*cellHigh
}

// shade runs from red at one half to green at one.
func shade(share float64) string {
	t := min(max(2*share-1, 0), 1)
	mix := func(a, b float64) int { return int(a + t*(b-a)) }
	return fmt.Sprintf("#%02x%02x%02x", mix(235, 150), mix(130, 210), mix(110, 130))
}

// sources draws a bar for each source.
func (d *drawing) sources(r *Report, top float64) float64 {
	d.text(20, top-8, "start", "Share of right answers by source")
	for i, l := range r.Sources {
		y := top + float64(i)*barHigh
		name := []rune(l.Source)
		if len(name) > 18 {
			name = append(name[:17], '…')
		}
		d.text(left-8, y+13, "end", string(name))
		if l.Right != nil {
			d.rect(left, y+2, l.Right.Share*(plotWidth-110), barHigh-4, "#7aa6d8")
			d.text(left+plotWidth, y+13, "end", fmt.Sprintf("%.1f %% of %d", 100*l.Right.Share, l.Images))
		}
	}
	return top + float64(len(r.Sources))*barHigh
}
