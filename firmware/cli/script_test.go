package cli

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"emberwing/infer/ort"
)

// TestMain lets scripts run emberwing as a command.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"emberwing": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			os.Exit(Run(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

// TestScripts runs testdata/*.txtar against the real models and the real
// library. Scripts that need the library skip themselves without it, which
// only a build without cgo may be in CI.
func TestScripts(t *testing.T) {
	rt, err := ort.Load("")
	library := ""
	switch {
	case err == nil:
		library = rt.Path()
		defer rt.Close()
	case os.Getenv("CI") != "" && !errors.Is(err, ort.ErrNoCgo):
		t.Fatalf("run scripts/setup: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireUniqueNames: true, RequireExplicitExec: true,
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LIB", library)
			models, err := filepath.Abs("../../infer/models")
			e.Setenv("MODELS", models)
			e.Setenv("TINY", filepath.Join(models, "../infertest/tiny"))
			e.Setenv("FAMILY", filepath.Join(models, "../infertest/family"))
			return err
		},
		Condition: func(cond string) (bool, error) { return cond == "ort" && err == nil, nil },
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"picture": makePicture, "damage": damage},
	})
}

// makePicture writes a picture of a hot sky over dark ground, or of a red
// lower right quarter or nothing on black:
// picture FILE WIDTHxHEIGHT rgb|grey|rgba|exif6|red|black.
func makePicture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: picture FILE WIDTHxHEIGHT rgb|grey|rgba|exif6|red|black")
	}
	var w, h int
	for i, part := range strings.Split(args[1], "x") {
		n := 0
		for _, c := range part {
			n = 10*n + int(c-'0')
		}
		if i == 0 {
			w = n
		} else {
			h = n
		}
	}
	var buf bytes.Buffer
	var err error
	if strings.HasSuffix(args[0], ".png") {
		err = png.Encode(&buf, paint(w, h, args[2]))
	} else {
		err = jpeg.Encode(&buf, paint(w, h, args[2]), nil)
	}
	ts.Check(err)
	data := buf.Bytes()
	if args[2] == "exif6" {
		data = withOrientation(data, 6)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func paint(w, h int, kind string) image.Image {
	if kind == "grey" {
		g := image.NewGray(image.Rect(0, 0, w, h))
		for i := range g.Pix {
			g.Pix[i] = byte(255 - 255*(i/w)/h)
		}
		return g
	}
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	if kind == "red" || kind == "black" {
		draw.Draw(m, m.Rect, image.Black, image.Point{}, draw.Src)
		if kind == "red" {
			draw.Draw(m, image.Rect(w/2, h/2, w, h), image.NewUniform(color.NRGBA{R: 255, A: 255}), image.Point{}, draw.Src)
		}
		return m
	}
	alpha := byte(255)
	if kind == "rgba" {
		alpha = 128
	}
	for y := range h {
		c := color.NRGBA{byte(255 - 200*y/h), byte(160 - 120*y/h), 40, alpha}
		for x := range w {
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// withOrientation puts an Exif segment with this orientation behind the start
// of a JPEG file.
func withOrientation(file []byte, orientation byte) []byte {
	exif := []byte{0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
		0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0}
	return append(append([]byte{0xff, 0xd8}, exif...), file[2:]...)
}

// damage cuts a file in half: damage FILE.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	data, err := os.ReadFile(file)
	ts.Check(err)
	ts.Check(os.WriteFile(file, data[:len(data)/2], 0o644))
}
