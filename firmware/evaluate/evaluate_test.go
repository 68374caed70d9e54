package evaluate

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"emberwing/camera"
	"emberwing/firmware/predict"
	"emberwing/infer"
	"emberwing/infer/infertest"
)

func TestSourceOf(t *testing.T) {
	for _, tt := range [][3]string{
		{"deepfire_fire_0001.jpg", "fire", "deepfire"}, {"aiformankind_smoke_12.png", "smoke", "aiformankind"},
		{"subhi-thumb_up-3.jpg", "thumb_up", "subhi"}, {"0001.jpg", "fire", "unnamed"}, {"fire_1.jpg", "fire", "unnamed"}, {"DSC.jpg", "fire", "DSC"},
	} {
		if got := SourceOf(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s of class %s: got %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

// save writes a picture of one colour.
func save(t *testing.T, path string, c color.Color) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for i := range 64 * 48 {
		m.Set(i%64, i/64, c)
	}
	var b bytes.Buffer
	if err := errors.Join(png.Encode(&b, m), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestListAndSources(t *testing.T) {
	dir := t.TempDir()
	save(t, filepath.Join(dir, "fire", "x_fire_1.png"), color.Black)
	save(t, filepath.Join(dir, "nofire", "tower", "y.png"), color.Black)
	var warned []string
	got, err := List(dir, []string{"nofire", "fire"}, func(s string) { warned = append(warned, s) })
	if err != nil || len(warned) > 0 {
		t.Fatal(err, warned)
	}
	want := []Picture{
		{filepath.Join(dir, "fire", "x_fire_1.png"), 1, "x"},
		{filepath.Join(dir, "nofire", "tower", "y.png"), 0, "tower"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	table := filepath.Join(dir, "t.csv")
	os.WriteFile(table, []byte("task,file,source\na,fire/train/x_fire_1.png,zenmuse\n"), 0o644)
	if n, err := Sources(table, got); n != 1 || err != nil || got[0].Source != "zenmuse" || got[1].Source != "tower" {
		t.Errorf("got %d, %v, %+v", n, err, got)
	}
	for _, text := range []string{"", "file\nx\n", "file,source\nother.png,s\n", "file,source\n\"x\n"} {
		os.WriteFile(table, []byte(text), 0o644)
		if _, err := Sources(table, got); err == nil || !strings.Contains(err.Error(), table) {
			t.Errorf("%q: got %v, want an error that names the file", text, err)
		}
	}
}

func TestLimitIsEvenAndRepeats(t *testing.T) {
	var all []Picture
	for i := range 100 {
		all = append(all, Picture{Path: string(rune('a' + i%26)), Truth: count(i >= 90)})
	}
	a, b := Limit(all, 12, 3), Limit(all, 12, 3)
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	ones := 0
	for _, p := range a {
		ones += p.Truth
	}
	if len(a) != 12 || ones != 6 {
		t.Errorf("got %d of 12 of the rare class, want 6", ones)
	}
	if len(Limit(all, 0, 1)) != 100 || len(Limit(all, 30, 1)) != 30 {
		t.Error("0 must keep all, 30 must keep 30")
	}
}

func TestRobustIsChanceCorrected(t *testing.T) {
	r := robust(0.8, 0.9, 0.5)
	if math.Abs(r.Relative-0.8/0.9) > 1e-12 || math.Abs(r.AboveChance-0.75) > 1e-12 ||
		math.Abs(r.Gamma-0.8/0.9*(1-math.Exp(-32))) > 1e-12 {
		t.Errorf("got %+v", r)
	}
	if r := robust(0.5, 0.51, 0.5); r.Gamma > 0.03 || r.AboveChance != 0 {
		t.Errorf("a model at chance: got %+v, want it not robust", r)
	}
	if r := robust(0.1, 0, 0.5); r != (Robust{}) {
		t.Errorf("got %+v, want nothing", r)
	}
}

func TestOverSourcesWeighsBySkill(t *testing.T) {
	clean := map[string]*tally{"easy": {n: 100, right: 100}, "hard": {n: 100, right: 60}, "few": {n: 3, right: 3}}
	spoilt := map[string]*tally{"easy": {n: 100, right: 50}, "hard": {n: 100, right: 60}, "few": {n: 3}}
	got := overSources(spoilt, clean, 0.5)
	gEasy, gHard := 0.5*(1-math.Exp(-50)), 1-math.Exp(-2)
	if got.Sources != 2 || math.Abs(got.SAR-(gEasy+gHard)/2) > 1e-9 ||
		math.Abs(got.WAR-(0.5*gEasy+0.1*gHard)/0.6) > 1e-9 {
		t.Errorf("got %+v, want SAR %v and WAR %v", got, (gEasy+gHard)/2, (0.5*gEasy+0.1*gHard)/0.6)
	}
}

func TestAUROC(t *testing.T) {
	for _, tt := range []struct {
		high, low []float32
		want      float64
	}{{[]float32{3, 4}, []float32{1, 2}, 1}, {[]float32{1}, []float32{2, 3}, 0}, {[]float32{2}, []float32{1, 2, 3}, 0.5}, {nil, []float32{1}, 0.5}} {
		if got := auroc(tt.high, tt.low); got != tt.want {
			t.Errorf("%v over %v: got %v, want %v", tt.high, tt.low, got, tt.want)
		}
	}
}

func TestMatches(t *testing.T) {
	b := Object{X0: 20, Y0: 20, X1: 60, Y1: 60}
	for _, tt := range []struct {
		name string
		r    predict.Rect
		want bool
	}{
		{"the same", predict.Rect{X: 0.2, Y: 0.2, W: 0.4, H: 0.4}, true},
		{"centre inside", predict.Rect{X: 0.38, Y: 0.38, W: 0.04, H: 0.04}, true},
		{"overlap of 0.27, centre outside", predict.Rect{X: 0.43, Y: 0.2, W: 0.4, H: 0.4}, false},
		{"overlap enough", predict.Rect{X: 0.2, Y: 0.2, W: 0.9, H: 0.4}, true},
		{"elsewhere", predict.Rect{X: 0.7, Y: 0.7, W: 0.2, H: 0.2}, false},
	} {
		if got := matches(b, 100, 100, tt.r); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestFrames shows two frames: one with a hand of each label, and one whose
// hand must not be reported.
func TestFrames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"two.png", "one.png"} {
		save(t, filepath.Join(dir, name), color.RGBA{A: 255})
	}
	table := filepath.Join(dir, "boxes.csv")
	rows := "file,class,xmin,ymin,xmax,ymax\ntwo.png,fist,0,0,40,40\none.png,other,0,0,40,40\ntwo.png,palm,60,60,100,100\n"
	if err := os.WriteFile(table, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &infer.Manifest{Labels: []string{"fist", "palm", "other"}, Decision: infer.Decision{Ignore: []string{"other"}}}
	frames, err := ListBoxes(table, m.Labels)
	if err != nil || len(frames) != 2 || len(frames[0].Objects) != 2 {
		t.Fatalf("got %+v, %v, want two frames, the first with two objects", frames, err)
	}
	first, second := predict.Rect{W: 0.4, H: 0.4}, predict.Rect{X: 0.6, Y: 0.6, W: 0.4, H: 0.4}
	for _, tt := range []struct {
		name                    string
		label                   int
		box                     predict.Rect
		found, named, both, out float64
	}{
		{"second hand right", 1, second, 1, 1, 1, 1},
		{"label of the other hand", 0, second, 1, 1, 0, 1},
		{"box elsewhere", 0, predict.Rect{X: 0.8, W: 0.2, H: 0.2}, 0, 1, 0, 1},
		{"wrong label", 2, first, 1, 0, 0, 0},
	} {
		all := NewFrames(m, 0.5)
		r := &predict.Result{Result: infer.Result{Label: tt.label, Trigger: 0.9}, Boxed: true, Box: tt.box}
		all.Add(frames[0], 100, 100, r)
		got := all.Report()
		for i, s := range []*Share{got.Found, got.Named, got.Both, got.Reported} {
			if want := []float64{tt.found, tt.named, tt.both, tt.out}[i]; s.Share != want || s.Of != 1 {
				t.Errorf("%s: figure %d: got %v of %d, want %v of 1", tt.name, i, s.Share, s.Of, want)
			}
		}
	}
	all := NewFrames(m, 0.5)
	if all.Add(frames[1], 100, 100, &predict.Result{Result: infer.Result{Label: 2, Trigger: 0.9}}); all.Report().Reported != nil {
		t.Error("a frame without a signal counts as one")
	}
}

// reddish is a model of the family's beacon that alarms on red pictures, and
// says nofire when they become too noisy to be sure.
func reddish(t *testing.T) (Model, *Judge) {
	m := &infertest.Member(t, "beacon").Manifest
	return func(f *camera.Frame) (*predict.Result, error) {
		red := float32(0)
		for i := 0; i+2 < len(f.Pix); i += 3 {
			red += (float32(f.Pix[i]) - float32(f.Pix[i+2])) / 255
		}
		red /= float32(f.Width * f.Height)
		r := &predict.Result{
			Result:   infer.Result{Label: 0, Trigger: red},
			Measured: true,
			Distance: red,
			Unknown:  red > 0.9,
		}
		if red > 0.5 {
			r.Label = 2
		}
		return r, nil
	}, NewJudge(m, 0.6)
}

func TestRobustness(t *testing.T) {
	dir := t.TempDir()
	pictures := []Picture{
		{save(t, filepath.Join(dir, "a.png"), color.RGBA{255, 0, 0, 255}), 2, "one"},
		{save(t, filepath.Join(dir, "b.png"), color.RGBA{90, 90, 90, 255}), 0, "one"},
		{save(t, filepath.Join(dir, "c.png"), color.RGBA{255, 0, 0, 255}), 0, "two"}, // a false alarm
	}
	model, judge := reddish(t)
	r, err := NewRobustness(model, judge, []int{8, 32}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pictures {
		if err := r.Add(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(t.Context(), Picture{Path: filepath.Join(dir, "gone.png")}); err == nil {
		t.Error("a missing picture is no error")
	}
	rep := r.Report()
	if rep.Summary.Images != 3 || rep.Summary.Failed != 1 || rep.Summary.Clean.Share != 2.0/3 ||
		rep.Summary.Shifts.Labels.Share != 0 {
		t.Errorf("summary %+v", rep.Summary)
	}
	hazy := map[int]float64{}
	for _, l := range rep.Corruptions {
		if l.Corruption == "haze" {
			hazy[l.Severity] = l.Recall.Share
		}
	}
	if hazy[1] != 1 || hazy[5] != 0 { // a veil of 0.75 leaves less red than the threshold
		t.Errorf("recall in haze: got %v, want 1 at severity 1 and 0 at 5", hazy)
	}
	if rep.OOD == nil || rep.OOD.UnknownOfWrong.Share != 1 || rep.OOD.UnknownOfRight.Share != 0.5 ||
		rep.OOD.AUROC != 0.75 {
		t.Errorf("ood: %+v", rep.OOD)
	}
	if len(rep.Sources) != 2 || rep.Sources[0].Images != 2 || rep.Sources[1].FalseAlarms.Share != 1 {
		t.Errorf("sources: %+v", rep.Sources)
	}
	if rep.Flips[0].Kind != "shift" || rep.Flips[8].Kind != "motion" || len(rep.Flips) != 15 || r.Runs() != 3+2+40+15 {
		t.Errorf("got %d motions, %d runs", len(rep.Flips), r.Runs())
	}
	checkSVG(t, rep)
}

// checkSVG demands well-formed XML, whatever the title holds.
func checkSVG(t *testing.T, rep *Report) {
	t.Helper()
	var b bytes.Buffer
	if err := rep.SVG(&b, `fire <&> "x"`); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlipsAreCounted has a model whose answer hangs on the first pixel.
func TestFlipsAreCounted(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 40, 40))
	for i := range m.Pix {
		m.Pix[i] = 255 * byte(i%2) // columns in turns
	}
	var b bytes.Buffer
	path := filepath.Join(t.TempDir(), "x.png")
	if err := errors.Join(png.Encode(&b, m), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, judge := reddish(t)
	r, err := NewRobustness(func(f *camera.Frame) (*predict.Result, error) {
		v := float32(f.Pix[0]) / 255
		return &predict.Result{Result: infer.Result{Label: 2 * count(v > 0.5), Trigger: v}}, nil
	}, judge, nil, 1, []string{"motion"})
	if err := errors.Join(err, r.Add(t.Context(), Picture{Path: path})); err != nil {
		t.Fatal(err)
	}
	if rep := r.Report(); r.Runs() != 1+2+15 || len(rep.Corruptions)+len(rep.Resolutions) != 0 {
		t.Errorf("motion alone: got %d runs and %d corruptions", r.Runs(), len(rep.Corruptions))
	}
	if _, err := NewRobustness(nil, judge, nil, 1, []string{"weather"}); err == nil {
		t.Error("an unknown part is no error")
	}
	if s := r.Report().Summary.Shifts; s.Labels.Share != 6.0/8 || s.Alarms.Share != 6.0/8 || s.Change != 0.75 {
		t.Errorf("got %+v, want a flip for each of the six views moved sideways", s)
	}
}

func TestAddStopsWhenTold(t *testing.T) {
	model, judge := reddish(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r, err := NewRobustness(model, judge, nil, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := save(t, filepath.Join(t.TempDir(), "a.png"), color.Black)
	if err := r.Add(ctx, Picture{Path: path}); !errors.Is(err, context.Canceled) || r.Report().Summary.Failed != 0 {
		t.Errorf("got %v, want %v and no failure", err, context.Canceled)
	}
}

func TestMasks(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 40, 40))
	for y := range 40 {
		for x := range 40 {
			switch {
			case x < 20:
				m.Pix[y*40+x] = 255
			case y < 20:
				m.Pix[y*40+x] = 128
			}
		}
	}
	var b bytes.Buffer
	path := filepath.Join(t.TempDir(), "m.png")
	if err := errors.Join(png.Encode(&b, m), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	all, err := NewMasks([]string{"smoke", "fire"}, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	err = all.Add(path, func(label int, h *predict.Heat) {
		*h = predict.Heat{
			W:      2,
			H:      1,
			Values: []float32{1, 0},
			Over:   predict.Rect{W: 1, H: 1},
		} // fire right, smoke wrong
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []MasksLine{{"masks", "smoke", 1, 1, 0, 0}, {"masks", "fire", 1, 1, 1, 1}}
	if d := cmp.Diff(want, all.Report()); d != "" {
		t.Error(d)
	}
	if _, err := NewMasks([]string{"water"}, 0.5); err == nil {
		t.Error("a label without a grey level is no error")
	}
}
