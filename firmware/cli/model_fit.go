package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"emberwing/firmware/evaluate"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/quant/accuracy"
)

func modelFit(s Streams) *cobra.Command {
	var f fit
	c := &cobra.Command{
		Use:   "fit --model NAME|MANIFEST DIR",
		Short: "fit temperature and out-of-distribution statistics of one file",
		Long: `fit runs one file of a model over DIR/<class>/* and fits what belongs to that
file alone: the temperature that calibrates its scores and, for a model with
features, the statistics that tell pictures unlike these apart. A quantised file
has other features than the one it was made from, so each precision is fitted by
itself. Use pictures that the model was not trained on for the temperature.

It prints the variant as the manifest should have it; --write puts it there.`,
		Example: "  emberwing model fit --model my/manifest.json --precision int8 --write val/",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c.Context(), s, args[0]) },
	}
	f.flags.register(c)
	c.Flags().Float64Var(&f.quantile, "quantile", 0.99, "share of these pictures that count as known")
	c.Flags().Float64Var(&f.ridge, "ridge", 0.01, "added to the covariance, as a share of its diagonal")
	c.Flags().BoolVar(&f.write, "write", false, "write the manifest; it must be a file on disk")
	return c
}

type fit struct {
	flags    modelFlags
	quantile float64
	ridge    float64
	write    bool
}

// fitted is what fit prints.
type fitted struct {
	Images      int           `json:"images"`
	ErrorBefore float64       `json:"calibration_error_before"`
	ErrorAfter  float64       `json:"calibration_error_after"`
	Variant     infer.Variant `json:"variant"`
}

func (f *fit) run(ctx context.Context, s Streams, dir string) error {
	if !(f.quantile > 0 && f.quantile < 1) || !(f.ridge >= 0 && f.ridge < 1) {
		return fmt.Errorf("fit: got --quantile %v and --ridge %v, want shares below 1", f.quantile, f.ridge)
	}
	r, err := f.flags.open(predict.Options{Off: predict.Blocks()})
	if err != nil {
		return err
	}
	defer r.Close()
	pictures, err := evaluate.List(dir, r.model.Labels, func(text string) { fmt.Fprintf(s.Err, "warning: %s\n", text) })
	if err != nil {
		return err
	}
	v := &evaluation{eval: &eval{}, s: s, r: r}
	set := &samples{temperature: float64(r.Variant().Temperature)}
	err = v.each(ctx, "pictures", len(pictures), func(i int) error { return set.add(r, pictures[i]) })
	if err != nil {
		return err
	}
	out, err := f.fit(r, set)
	if err != nil {
		return err
	}
	if f.write {
		if err := f.replace(out.Variant); err != nil {
			return err
		}
	}
	if err := emit(s.Out, out); err != nil || v.failed == 0 {
		return err
	}
	return errReported
}

// samples are what a file answered.
type samples struct {
	temperature float64 // in force while answering
	logits      [][]float32
	features    [][]float32
	truth       []int
}

func (x *samples) add(r *runner, p evaluate.Picture) error {
	res, err := r.File(p.Path)
	if err != nil {
		return err
	}
	z := make([]float32, len(res.Scores))
	for i, p := range res.Scores { // softmax(z/T) gives z up to a constant
		z[i] = float32(x.temperature * math.Log(max(float64(p), 1e-37)))
	}
	x.logits, x.truth = append(x.logits, z), append(x.truth, p.Truth)
	if features := r.Session().Extra(0, infer.Features); features != nil {
		x.features = append(x.features, append([]float32(nil), features...))
	}
	return nil
}

// fit computes the new variant.
func (f *fit) fit(r *runner, x *samples) (*fitted, error) {
	t, err := accuracy.FitTemperature(x.logits, x.truth)
	if err != nil {
		return nil, err
	}
	out := &fitted{Images: len(x.truth), Variant: r.Variant(), ErrorBefore: x.gap(r, 1), ErrorAfter: x.gap(r, t)}
	out.Variant.Temperature = t
	if x.features != nil {
		out.Variant.OOD, err = accuracy.FitOOD(x.features, x.truth, len(r.model.Labels), f.ridge, f.quantile)
	}
	return out, err
}

// gap is the calibration error of the best score at temperature t.
func (x *samples) gap(r *runner, t float32) float64 {
	v := r.Variant()
	v.Temperature = t
	rule, set := r.model.Rule(v), accuracy.NewSet(r.model.Labels, nil, v.Threshold)
	var res infer.Result
	for i, z := range x.logits {
		err := rule.Decide(z, &res)
		if err == nil {
			err = set.Add(accuracy.Sample{Truth: x.truth[i], Best: res.Label, Score: res.Scores})
		}
		if err != nil {
			return math.Inf(1)
		}
	}
	return set.Report(0).CalibrationError
}

// replace writes the variant into the manifest that the model flag names.
func (f *fit) replace(v infer.Variant) error {
	path := f.flags.model
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, infer.ManifestFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf(
			"fit: write manifest: %w; shipped models are inside the program, give the path of a manifest",
			err,
		)
	}
	m, err := infer.ParseManifest(data)
	if err != nil {
		return err
	}
	for i := range m.Variants {
		if m.Variants[i].SHA256 == v.SHA256 {
			m.Variants[i] = v
		}
	}
	if err := m.Validate(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("fit: write manifest: %w", err)
	}
	tmp := path + ".tmp"
	err = os.WriteFile(tmp, append(text, '\n'), 0o644)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("fit: write manifest: %w", err), os.Remove(tmp))
	}
	return nil
}
