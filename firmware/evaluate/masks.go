package evaluate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"emberwing/camera"
	"emberwing/camera/still"
	"emberwing/firmware/predict"
)

// Masked is a picture with a mask of grey levels.
type Masked struct{ Picture, Mask string }

// ListMasks pairs DIR/img/NAME.* with DIR/mask/NAME.*. only, if not empty,
// names a file that lists the names to keep, one a line.
func ListMasks(dir, only string) ([]Masked, error) {
	keep, err := names(only)
	if err != nil {
		return nil, err
	}
	masks, err := filepath.Glob(filepath.Join(dir, "mask", "*.*"))
	if err != nil {
		return nil, fmt.Errorf("read masks: %w", err)
	}
	var out []Masked
	for _, m := range masks {
		stem := strings.TrimSuffix(filepath.Base(m), filepath.Ext(m))
		if keep != nil && !slices.Contains(keep, stem) {
			continue
		}
		pictures, err := filepath.Glob(filepath.Join(dir, "img", stem+".*"))
		if err != nil || len(pictures) != 1 {
			return nil, fmt.Errorf("read masks: %s: got %d pictures img/%s.*, want one", dir, len(pictures), stem)
		}
		out = append(out, Masked{pictures[0], m})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read masks: %s: got no pairs, want DIR/img/NAME.jpg with DIR/mask/NAME.png", dir)
	}
	return out, nil
}

// names reads a list of names without their extensions; nil for no file.
func names(file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read list of masks: %w", err)
	}
	var out []string
	for _, l := range strings.Fields(string(text)) {
		base := filepath.Base(l)
		out = append(out, strings.TrimSuffix(base, filepath.Ext(base)))
	}
	return out, nil
}

// levels says which grey level of a mask means which label.
var levels = map[string]byte{"fire": 255, "flame": 255, "smoke": 128}

// Masks measures the overlap of a segmenter's masks with true ones.
type Masks struct {
	labels    []string
	threshold float32
	n         int
	pooled    []overlap // by label
	sum       []float64 // of the overlap of single pictures
	with      []int     // pictures that show the label
	truth     camera.Frame
	heat      predict.Heat
}

type overlap struct{ both, either int }

// NewMasks measures labels that masks know; others are an error.
func NewMasks(labels []string, threshold float32) (*Masks, error) {
	for _, l := range labels {
		if levels[l] == 0 {
			return nil, fmt.Errorf("judge masks: got label %q, want fire or smoke", l)
		}
	}
	n := len(labels)
	return &Masks{
		labels:    labels,
		threshold: threshold,
		pooled:    make([]overlap, n),
		sum:       make([]float64, n),
		with:      make([]int, n),
	}, nil
}

// Add compares the heat of each label, which maps returns, with the mask in a
// file, at the mask's own resolution.
func (m *Masks) Add(file string, maps func(label int, h *predict.Heat)) error {
	if err := still.Open(file, &m.truth); err != nil {
		return err
	}
	m.n++
	for l, name := range m.labels {
		maps(l, &m.heat)
		o := m.compare(levels[name])
		m.pooled[l].both += o.both
		m.pooled[l].either += o.either
		if o.either > 0 {
			m.sum[l] += float64(o.both) / float64(o.either)
			m.with[l]++
		}
	}
	return nil
}

// compare counts the pixels of one label. JPEG masks are not exact, so a level
// counts when it is within an eighth of the range.
func (m *Masks) compare(level byte) (o overlap) {
	f := &m.truth
	for y := range f.Height {
		row := f.Row(y)
		for x := range f.Width {
			d := int(row[3*x]) - int(level)
			truth := d <= 32 && d >= -32
			said := m.heat.At((float32(x)+0.5)/float32(f.Width), (float32(y)+0.5)/float32(f.Height)) >= m.threshold
			o.both += count(truth && said)
			o.either += count(truth || said)
		}
	}
	return o
}

// MasksLine is the report on one label.
type MasksLine struct {
	Kind   string  `json:"kind"` // "masks"
	Label  string  `json:"label"`
	Images int     `json:"images"`
	With   int     `json:"with"`     // pictures in which mask or model shows the label
	IoU    float64 `json:"iou"`      // of all pixels together
	Mean   float64 `json:"mean_iou"` // mean over those pictures
}

// Report computes the overlaps.
func (m *Masks) Report() (out []MasksLine) {
	for l, name := range m.labels {
		out = append(out, MasksLine{"masks", name, m.n, m.with[l],
			float64(m.pooled[l].both) / float64(max(m.pooled[l].either, 1)), m.sum[l] / float64(max(m.with[l], 1))})
	}
	return out
}
