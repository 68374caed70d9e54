package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"emberwing/camera/still"
	"emberwing/firmware/classify"
	"emberwing/firmware/predict"
)

// explain writes the picture that was classified last into dir, under the name
// of its file, with what speaks for its label drawn in.
func explain(r *runner, path string, x classify.Result, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	label := x.Label
	if a := r.model.Alarm; a != nil && x.Trigger >= r.Threshold() {
		label = bestOf(x.Scores, r.model.Labels, a.Labels)
	}
	var heat predict.Heat
	r.Explain(x.Result, label, &heat)
	predict.Draw(r.Picture(), x.Result, &heat)
	var out bytes.Buffer
	if err := still.EncodeJPEG(&out, r.Picture(), 90); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".jpg"
	if err := os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	return nil
}

// bestOf returns the index of the label of some with the highest score.
func bestOf(scores []float32, labels, some []string) int {
	best, top := -1, float32(-1)
	for i, s := range scores {
		for _, l := range some {
			if labels[i] == l && s > top {
				best, top = i, s
			}
		}
	}
	return best
}
