package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"emberwing/camera/pixel"
	"emberwing/firmware/classify"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/infer/models"
	"emberwing/quant"
	"emberwing/quant/graph"
	"emberwing/quant/onnx"
)

// readModel reads a float model with the tensors that lie in files beside it,
// and widens 16-bit floats, from which nothing could be measured or folded.
func readModel(s Streams, path string) (*onnx.Model, error) {
	m, err := onnx.ReadFile(path, onnx.Limits{})
	if err == nil {
		m, err = m.Embed(filepath.Dir(path), onnx.Limits{})
	}
	if err != nil {
		return nil, err
	}
	wide, changed, err := graph.Single(m)
	if changed {
		fmt.Fprintln(s.Err, "note: widened the model's 16-bit floats to 32 bits, those of inputs and outputs too")
	}
	return wide, err
}

// preparation says how pictures become the input of a model.
type preparation struct {
	model         string
	fit, order    string
	mean, std     []float64
	classes       []string
	width, height int
}

func (p *preparation) register(f *pflag.FlagSet) {
	f.StringVar(&p.model, "model", "", "shipped model or manifest.json that says how pictures are prepared; "+
		"default: the manifest beside --in")
	f.StringVar(&p.fit, "fit", "", "stretch, letterbox or centercrop, instead of a manifest")
	f.StringVar(&p.order, "order", "rgb", "rgb or bgr, with --fit")
	f.Float64SliceVar(&p.mean, "mean", []float64{0.485, 0.456, 0.406}, "mean of each channel on the scale 0..1, "+
		"with --fit")
	f.Float64SliceVar(&p.std, "std", []float64{0.229, 0.224, 0.225}, "standard deviation of each channel on the "+
		"scale 0..1, with --fit")
	f.StringSliceVar(&p.classes, "labels", nil, "classes in the order of the output, instead of a manifest")
	f.IntVar(&p.width, "width", 0, "width of the input where the model leaves it open")
	f.IntVar(&p.height, "height", 0, "height of the input where the model leaves it open")
}

// resolve returns the input of the model in file path and its preparation.
func (p *preparation) resolve(m *onnx.Model, path string) (quant.Input, pixel.Spec, error) {
	in, dims, err := p.input(m)
	if err != nil {
		return quant.Input{}, pixel.Spec{}, err
	}
	declared, err := p.declared(in, dims, path)
	if err != nil {
		return quant.Input{}, pixel.Spec{}, err
	}
	spec, err := predict.Spec(declared)
	if err == nil && (declared.Name != in || fmt.Sprint(declared.Shape) != fmt.Sprint(dims)) {
		err = fmt.Errorf("prepare pictures: the model reads %s%v, the manifest says %s%v; name another with --model",
			in, dims, declared.Name, declared.Shape)
	}
	return quant.Input{Name: in, Dims: dims}, spec, err
}

// input returns the name and the dimensions of the only input, batch 1.
func (p *preparation) input(m *onnx.Model) (string, []int64, error) {
	inputs := m.Graph().Inputs()
	if len(inputs) != 1 || len(inputs[0].Shape.Dims) != 4 || inputs[0].Type != onnx.Float {
		return "", nil, fmt.Errorf("read model: got inputs %v, want one picture: float [1,3,height,width] or "+
			"[1,height,width,3]", inputs)
	}
	dims := make([]int64, 4)
	for i, d := range inputs[0].Shape.Dims {
		dims[i] = d.Size
	}
	dims[0] = 1
	open := []int64{0, 3, int64(p.height), int64(p.width)}
	if dims[3] == 3 {
		open = []int64{0, int64(p.height), int64(p.width), 3}
	}
	for i := 1; i < 4; i++ {
		if dims[i] < 1 {
			dims[i] = open[i]
		}
		if dims[i] < 1 {
			return "", nil, fmt.Errorf("read model: the size of input %s is open, want --width and --height", inputs[0])
		}
	}
	return inputs[0].Name, dims, nil
}

// declared returns the declaration of the input: of the flags, of --model, or
// of the manifest beside the file.
func (p *preparation) declared(name string, dims []int64, path string) (infer.Input, error) {
	if p.fit != "" {
		return p.flags(name, dims)
	}
	m, err := p.manifest(path)
	if err != nil {
		return infer.Input{}, err
	}
	return m.Input, nil
}

// manifest returns that of --model, or the one beside the file.
func (p *preparation) manifest(path string) (*infer.Manifest, error) {
	if p.model != "" {
		m, err := infer.Resolve(models.FS, p.model)
		if err != nil {
			return nil, err
		}
		return &m.Manifest, nil
	}
	beside := filepath.Join(filepath.Dir(path), "manifest.json")
	b, err := os.ReadFile(beside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("prepare pictures: got no %s; say how with --model MANIFEST, or with --fit, --order, "+
			"--mean and --std", beside)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare pictures: %w", err)
	}
	m, err := infer.ParseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", beside, err)
	}
	return m, nil
}

// labels returns the classes in the order of the output: of the manifest, or
// of --labels.
func (p *preparation) labels(path string) ([]string, error) {
	if len(p.classes) > 0 {
		return p.classes, nil
	}
	m, err := p.manifest(path)
	if err != nil {
		return nil, fmt.Errorf("read classes: %w; or name them with --labels", err)
	}
	return m.Labels, nil
}

// flags makes a declaration of the flags.
func (p *preparation) flags(name string, dims []int64) (infer.Input, error) {
	in := infer.Input{Name: name, Shape: dims, DType: "float32", Layout: "nchw", Order: p.order, Fit: p.fit}
	if dims[3] == 3 && dims[1] != 3 {
		in.Layout = "nhwc"
	}
	if len(p.mean) != 3 || len(p.std) != 3 || p.order != "rgb" && p.order != "bgr" {
		return in, fmt.Errorf("prepare pictures: got --mean %v --std %v --order %s, want three numbers each, and rgb "+
			"or bgr", p.mean, p.std, p.order)
	}
	for c := range 3 {
		in.Mean[c], in.Std[c] = float32(p.mean[c]), float32(p.std[c])
	}
	return in, nil
}

// listPictures lists the pictures below a folder, at most limit of them,
// spread evenly; 0 is all.
func listPictures(s Streams, dir string, limit int) ([]string, error) {
	if dir == "" {
		return nil, errors.New("calibrate: got no --calib folder; give one with pictures like those in flight, a " +
			"hundred or more")
	}
	files, skipped, errs := classify.Files([]string{dir})
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if skipped > 0 {
		fmt.Fprintf(s.Err, "warning: %s: skipped %d file(s) that are neither JPEG nor PNG by name\n", dir, skipped)
	}
	if limit <= 0 || limit >= len(files) {
		return files, nil
	}
	out := make([]string, limit)
	for i := range out {
		out[i] = files[i*len(files)/limit]
	}
	return out, nil
}

// parseBytes reads "512MiB", "2GiB" or a number of bytes.
func parseBytes(s string) (int64, error) {
	number, unit := s, int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = n, u
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/unit {
		return 0, fmt.Errorf("got %q, want a number of bytes, KiB, MiB or GiB", s)
	}
	return n * unit, nil
}

// progressOn reports steps that take longer than two seconds: on a terminal
// as a bar that moves, elsewhere as a line every two seconds.
func progressOn(w io.Writer) quant.Progress {
	var step string
	var began, told time.Time
	terminal := isTerminal(w)
	return func(name string, done, total int) {
		now := time.Now()
		if name != step {
			step, began, told = name, now, now
		}
		period := 2 * time.Second
		if terminal {
			period = 100 * time.Millisecond
		}
		last := done == total && told != began
		if now.Sub(told) < period && !last {
			return
		}
		told = now
		left := time.Duration(float64(now.Sub(began)) / float64(done) * float64(total-done)).Round(time.Second)
		const width = 30
		bar := strings.Repeat("=", width*done/total) + strings.Repeat(" ", width-width*done/total)
		switch {
		case terminal && last:
			fmt.Fprintf(w, "\r%-10s [%s] %d/%d in %v\x1b[K\n", name, bar, done, total, now.Sub(began).Round(time.Second/10))
		case terminal:
			fmt.Fprintf(w, "\r%-10s [%s] %d/%d, %v left\x1b[K", name, bar, done, total, left)
		default:
			fmt.Fprintf(w, "%s: %d of %d, %v left\n", name, done, total, left)
		}
	}
}

// isTerminal says whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
