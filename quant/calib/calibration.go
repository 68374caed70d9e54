package calib

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Bins is the number of bins of a histogram on each side of zero.
const Bins = 2048

// fileVersion is written into stored calibrations.
const fileVersion = 1

// ErrStored means that a stored calibration cannot be used.
var ErrStored = errors.New("stored calibration cannot be used")

// Calibration is what was measured of the tensors of one graph.
type Calibration struct {
	Version int               `json:"version"`
	Model   string            `json:"model_sha256"` // of the graph that was measured
	Samples string            `json:"samples"`      // identity of the samples
	Count   int               `json:"count"`        // number of samples
	Tensors map[string]*Stats `json:"tensors"`
}

// Stats is what was measured of one tensor.
type Stats struct {
	Ranged int     `json:"ranged"` // samples that the ranges cover
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// AvgMin and AvgMax are moving averages with constant 0.01.
	AvgMin float64 `json:"avg_min"`
	AvgMax float64 `json:"avg_max"`
	// ChannelSum is the sum over samples of the mean of each channel, for
	// tensors where it was asked for.
	ChannelSum []float64  `json:"channel_sum,omitempty"`
	Binned     int        `json:"binned"` // samples in the histogram
	Hist       *Histogram `json:"histogram,omitempty"`
}

// Histogram counts values in equal bins over Lo..Hi: 0..Hi where no value is
// negative, else -Hi..Hi, so that zero is always an edge. Values outside count
// in the bin at the end.
type Histogram struct {
	Lo     float64  `json:"lo"`
	Hi     float64  `json:"hi"`
	Counts []uint64 `json:"counts"` // Bins, or twice as many
}

// averaging is the constant of the moving averages.
const averaging = 0.01

// New starts a calibration.
func New(model, samples string, count int) *Calibration {
	return &Calibration{Version: fileVersion, Model: model, Samples: samples, Count: count, Tensors: map[string]*Stats{}}
}

// Load reads a stored calibration. A file that is not there is fs.ErrNotExist;
// one that is damaged, or of another model or other samples, is ErrStored.
func Load(path, model, samples string, count int) (*Calibration, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c := new(Calibration)
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("read calibration %s: %w: %w; delete it to measure again", path, ErrStored, err)
	}
	if c.Model != model || c.Samples != samples || c.Count != count {
		return nil, fmt.Errorf("read calibration %s: %w: got one of model %.12s… over %d samples %.12s…, want model "+
			"%.12s… over %d samples %.12s…; name another file",
			path, ErrStored, c.Model, c.Count, c.Samples, model, count, samples)
	}
	return c, nil
}

// check refuses values that would mislead or crash later steps.
func (c *Calibration) check() error {
	if c.Version != fileVersion {
		return fmt.Errorf("got version %d, want %d", c.Version, fileVersion)
	}
	for name, s := range c.Tensors {
		if s == nil || s.Min > s.Max || !finite(s.Min, s.Max, s.AvgMin, s.AvgMax) {
			return fmt.Errorf("tensor %q has no valid range", name)
		}
		if h := s.Hist; h != nil && (!(h.Hi > 0) || h.Lo != 0 && h.Lo != -h.Hi || len(h.Counts) != h.bins()) {
			return fmt.Errorf("tensor %q has no valid histogram", name)
		}
	}
	return nil
}

// finite says whether all numbers are.
func finite(vs ...float64) bool {
	return !slices.ContainsFunc(vs, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// Save writes the calibration so that path holds the old or the new one,
// never a part.
func (c *Calibration) Save(path string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write calibration: %w", err)
	}
	return WriteFile(path, b)
}

// WriteFile writes a file so that path holds the old content or the new,
// never a part.
func WriteFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".quant-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// observe adds the extremes of one sample.
func (s *Stats) observe(lo, hi float64) {
	if s.Ranged == 0 {
		s.Min, s.Max, s.AvgMin, s.AvgMax = lo, hi, lo, hi
	} else {
		s.Min, s.Max = math.Min(s.Min, lo), math.Max(s.Max, hi)
		s.AvgMin += averaging * (lo - s.AvgMin)
		s.AvgMax += averaging * (hi - s.AvgMax)
	}
	s.Ranged++
}

// addMeans adds the channel means of one sample.
func (s *Stats) addMeans(means []float32) {
	if s.ChannelSum == nil {
		s.ChannelSum = make([]float64, len(means))
	}
	for c, m := range means {
		s.ChannelSum[c] += float64(m)
	}
}

// ChannelMeans returns the mean of each channel over the samples, nil where
// it was not measured.
func (s *Stats) ChannelMeans() []float64 {
	out := slices.Clone(s.ChannelSum)
	for c := range out {
		out[c] /= float64(max(1, s.Ranged))
	}
	return out
}

// newHistogram makes an empty histogram for values of lo..hi.
func newHistogram(lo, hi float64) *Histogram {
	top := math.Max(math.Max(-lo, hi), 1e-30)
	h := &Histogram{Lo: 0, Hi: top}
	if lo < 0 {
		h.Lo = -top
	}
	h.Counts = make([]uint64, h.bins())
	return h
}

// bins returns the number of bins that the range asks for.
func (h *Histogram) bins() int {
	if h.Lo < 0 {
		return 2 * Bins
	}
	return Bins
}

// add counts values. NaN counts in no bin.
func (h *Histogram) add(values []float32) {
	lo, per := float32(h.Lo), float32(float64(len(h.Counts))/(h.Hi-h.Lo))
	top := float32(len(h.Counts) - 1)
	for _, v := range values {
		at := (v - lo) * per
		switch {
		case at >= 0 && at < top:
			h.Counts[int(at)]++
		case at >= top:
			h.Counts[len(h.Counts)-1]++
		case at < 0:
			h.Counts[0]++
		}
	}
}

// width returns the width of a bin.
func (h *Histogram) width() float64 { return (h.Hi - h.Lo) / float64(len(h.Counts)) }

// center returns the middle of bin i.
func (h *Histogram) center(i int) float64 { return h.Lo + (float64(i)+0.5)*h.width() }

// Magnitudes returns the histogram of the absolute values: Bins bins over
// 0..Hi.
func (h *Histogram) Magnitudes() []uint64 {
	if h.Lo == 0 {
		return slices.Clone(h.Counts)
	}
	out := make([]uint64, Bins)
	for i := range out {
		out[i] = h.Counts[Bins+i] + h.Counts[Bins-1-i]
	}
	return out
}
