package recipe_test

import "testing"

func TestMeasuredBiasCorrectionBringsOutputsNearer(t *testing.T) {
	j := job(t, "cpu-avx2")
	j.Method, j.Plain = "minmax", true
	p, err := j.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	better, err := p.CorrectBias(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if better.Choice.SQNR < w.Choice.SQNR+0.5 {
		t.Errorf("got %.2f dB, before %.2f dB, want it to be nearer", better.Choice.SQNR, w.Choice.SQNR)
	}
}
