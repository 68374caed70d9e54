package calib

import (
	"encoding/json"
	"fmt"
	"html"
	"math"
	"strings"
)

// Dump is what was measured and chosen, for people and other programs.
type Dump struct {
	Model   string                `json:"model_sha256"`
	Samples string                `json:"samples"`
	Count   int                   `json:"count"`
	Method  string                `json:"method"`
	Tensors map[string]DumpTensor `json:"tensors"`
}

// DumpTensor is one tensor: what was seen, its histogram, and for the method
// the range with the scale and zero point that were written.
type DumpTensor struct {
	*Stats
	Range Range   `json:"range"`
	Scale float32 `json:"scale,omitempty"`
	Zero  int32   `json:"zero_point"`
}

// Encode returns the dump as indented JSON.
func (d *Dump) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return nil, fmt.Errorf("dump calibration: %w", err)
	}
	return append(b, '\n'), nil
}

// Size of the picture in pixels, and of its margins.
const (
	svgWidth, svgHeight    = 900, 360
	svgLeft, svgTop        = 60, 40
	svgColumns, svgColumn  = 400, 2
	svgBottom, svgTextSize = 300, 13
)

// SVG draws the histogram of a tensor, counts on a logarithmic axis, with the
// chosen range between two lines. Values beyond them saturate.
func (s *Stats) SVG(name, method string, r Range) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" `+
		`font-family="sans-serif" font-size="%d">`+"\n",
		svgWidth, svgHeight, svgTextSize)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="20">%s: %s</text>`+"\n", svgLeft,
		html.EscapeString(name), html.EscapeString(method))
	lo, hi := math.Min(s.Min, 0), math.Max(s.Max, 0)
	if s.Hist == nil || hi <= lo {
		return b.String() + "<text x=\"60\" y=\"60\">no histogram was measured</text></svg>\n"
	}
	columns, top := s.columns(lo, hi)
	for i, c := range columns {
		if h := math.Log1p(c) / math.Log1p(top) * (svgBottom - svgTop); h > 0 {
			fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%d" height="%.1f" fill="#4477aa"/>`+"\n",
				svgLeft+i*svgColumn, svgBottom-h, svgColumn, h)
		}
	}
	at := func(v float64) float64 { return svgLeft + (v-lo)/(hi-lo)*svgColumns*svgColumn }
	for _, edge := range []float64{r.Lo, r.Hi} {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#cc3311" stroke-width="2"/>`+"\n",
			at(edge), at(edge), svgTop-8, svgBottom)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#cc3311">%.4g</text>`+"\n", at(edge),
			svgBottom+18, edge)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">%.4g</text><text x="%.1f" y="%d" text-anchor="end">%.4g</text>`+"\n",
		svgLeft, svgBottom+38, lo, at(hi), svgBottom+38, hi)
	fmt.Fprintf(&b, `<text x="10" y="%d">%.2g</text><text x="10" y="%d">0</text></svg>`+"\n", svgTop, top, svgBottom)
	return b.String()
}

// columns adds the bins up for the columns of a picture over lo..hi, and
// returns the largest.
func (s *Stats) columns(lo, hi float64) ([]float64, float64) {
	out := make([]float64, svgColumns)
	top := 1.0
	for i, c := range s.Hist.Counts {
		at := int((s.Hist.center(i) - lo) / (hi - lo) * svgColumns)
		if at >= 0 && at < svgColumns {
			out[at] += float64(c)
			top = math.Max(top, out[at])
		}
	}
	return out, top
}
