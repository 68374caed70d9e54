package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"emberwing/firmware/benchmark"
	"emberwing/firmware/engine"
	"emberwing/infer"
	"emberwing/quant/qdq"
)

// candidates turns the flags into modes, the reference first.
func (b *benchRun) candidates(ctx context.Context, e *engine.Engine, m *infer.Model) ([]benchmark.Candidate, error) {
	modes, files := b.modes, b.files
	if len(modes) == 0 {
		modes = defaultModes(m, len(files) > 0)
	}
	profile, err := qdq.ProfileOf(b.target)
	if err != nil {
		return nil, err
	}
	maker := &benchmark.Maker{Engine: e, Model: m, Provider: b.provider(), Profile: profile, Progress: progressOn(b.s.Err)}
	if b.calib != "" {
		if maker.Calibration, err = listPictures(b.s, b.calib, b.images); err != nil {
			return nil, err
		}
	}
	var out []benchmark.Candidate
	for _, mode := range modes {
		c, err := maker.Make(ctx, mode)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	for _, f := range files {
		c, err := fileCandidate(f)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, unique(out)
}

// provider is the one that is asked for first.
func (b *benchRun) provider() infer.Provider {
	if len(b.flags.providers) == 0 {
		return infer.CPU
	}
	return infer.Provider(b.flags.providers[0])
}

// defaultModes are all that the manifest has, and FP16.
func defaultModes(m *infer.Model, withFiles bool) []string {
	if withFiles {
		return []string{string(infer.FP32)}
	}
	modes := []string{string(infer.FP32), string(infer.FP16)}
	if slices.Contains(m.Precisions(), infer.INT8) {
		modes = append(modes, string(infer.INT8))
	}
	return modes
}

// fileCandidate reads NAME=FILE or FILE.
func fileCandidate(arg string) (benchmark.Candidate, error) {
	name, path, named := strings.Cut(arg, "=")
	if !named {
		path = arg
		name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if name == "" || path == "" {
		return benchmark.Candidate{}, fmt.Errorf("read --files: got %q, want NAME=FILE.onnx or FILE.onnx", arg)
	}
	return benchmark.FromFile(name, path)
}

// unique refuses two modes of one name: the report could not tell them apart.
func unique(cs []benchmark.Candidate) error {
	seen := map[string]bool{}
	for _, c := range cs {
		if seen[c.Mode] {
			return fmt.Errorf("choose modes: got %q twice, want every name once (name files with NAME=FILE.onnx)", c.Mode)
		}
		seen[c.Mode] = true
	}
	return nil
}
