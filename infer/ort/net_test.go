//go:build cgo && linux

package ort

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

// tinyGraph returns the bytes of the tiny model and the way to open them.
func tinyGraph(t *testing.T) ([]byte, NetOptions) {
	t.Helper()
	m := infertest.Tiny(t)
	data, err := m.Bytes(m.Variants[0])
	if err != nil {
		t.Fatal(err)
	}
	return data, NetOptions{Inputs: []NetInput{{m.Input.Name, m.Input.Shape}}, Outputs: []string{m.Output.Name}}
}

func TestNetComputesWhatTheSessionDoes(t *testing.T) {
	rt := load(t)
	data, o := tinyGraph(t)
	for _, plain := range []bool{false, true} {
		o.Plain = plain
		n, err := rt.OpenNet(data, o)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range 3 { // the second run reuses the output of the first
			infertest.Fill(n.Input(0), seed)
			if err := n.Run(); err != nil {
				t.Fatal(err)
			}
			for i, want := range infertest.Logits(n.Input(0)) {
				if got := n.Output(0)[i]; math.Abs(float64(got-want)) > 1e-5 {
					t.Errorf("plain %v seed %d: got %v, want %v", plain, seed, got, want)
				}
			}
		}
		if s := n.Shape(0); len(s) != 2 || s[1] != 4 {
			t.Errorf("got shape %v, want [1 4]", s)
		}
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
		if err := n.Run(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("run after close: got %v, want %v", err, os.ErrClosed)
		}
	}
}

func TestNetSavesTheOptimisedGraph(t *testing.T) {
	rt := load(t)
	data, o := tinyGraph(t)
	o.Optimised = filepath.Join(t.TempDir(), "optimised.onnx")
	n, err := rt.OpenNet(data, o)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if st, err := os.Stat(o.Optimised); err != nil || st.Size() == 0 {
		t.Errorf("got %v, %v, want a file", st, err)
	}
}

func TestNetNamesWhatIsWrong(t *testing.T) {
	rt := load(t)
	data, o := tinyGraph(t)
	bad := o
	bad.Inputs = []NetInput{{"input", []int64{1, 0, 8, 8}}}
	if _, err := rt.OpenNet(data, bad); !errors.Is(err, infer.ErrOptions) || !strings.Contains(err.Error(), "[1 0 8 8]") {
		t.Errorf("free dimension: got %v, want the shape named", err)
	}
	if _, err := rt.OpenNet(data[:100], o); !errors.Is(err, infer.ErrModel) {
		t.Errorf("cut file: got %v, want %v", err, infer.ErrModel)
	}
	bad = o
	bad.Outputs = []string{"no such value"}
	n, err := rt.OpenNet(data, bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.Run(), n.Close()); err == nil || !strings.Contains(err.Error(), "no such value") {
		t.Errorf("unknown output: got %v, want it named", err)
	}
}
