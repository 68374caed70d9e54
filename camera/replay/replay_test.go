package replay_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"emberwing/camera"
	"emberwing/camera/cameratest"
	"emberwing/camera/replay"
	"emberwing/camera/still"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder writes pictures whose grey level is their place in names; a name
// that begins with "broken" gets half a file.
func folder(t testing.TB, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names {
		img := image.NewGray(image.Rect(0, 0, 8, 6))
		for p := range img.Pix {
			img.Pix[p] = byte(i)
		}
		img.Set(7, 5, color.White)
		var b strings.Builder
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		data := b.String()
		if strings.HasPrefix(name, "broken") {
			data = data[:len(data)/2]
		}
		write(t, dir, name, data)
	}
	return dir
}

func write(t testing.TB, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o replay.Options) *replay.Player {
	t.Helper()
	p, err := replay.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// names reads up to n frames and returns their names and the last error.
func names(t testing.TB, p *replay.Player, n int) (got []string, err error) {
	t.Helper()
	var f camera.Frame
	for i := range n {
		if err := p.ReadFrame(t.Context(), &f); err != nil {
			return got, err
		}
		if f.Seq != uint64(i) {
			t.Errorf("got sequence number %d, want %d", f.Seq, i)
		}
		got = append(got, f.Name)
	}
	return got, nil
}

func TestContract(t *testing.T) {
	dir := folder(t, "1.png", "2.png", "3.png", "4.png")
	for _, o := range []replay.Options{
		{Dir: dir}, {Dir: dir, Loop: true}, {Dir: dir, Paced: true, FPS: 200}, {Dir: dir, Paced: true, Loop: true, FPS: 500},
	} {
		t.Run(fmt.Sprintf("paced=%v loop=%v", o.Paced, o.Loop), func(t *testing.T) {
			cameratest.TestSource(t, func(t testing.TB) camera.Source { return open(t, o) })
		})
	}
}

func TestNaturalOrder(t *testing.T) {
	want := []string{"1.png", "2.JPG.png", "f2b.png", "f07.png", "f7.png", "f10.png", "f10a.png", "g.png"}
	dir := folder(t, "g.png", "f10a.png", "f07.png", "f2b.png", "f7.png", "2.JPG.png", "f10.png", "1.png")
	write(t, dir, "notes.txt", "not a picture")
	write(t, dir, ".hidden.png", "not a picture")
	got, err := names(t, open(t, replay.Options{Dir: dir}), 20)
	if err != io.EOF {
		t.Errorf("got %v at the end", err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestBrokenFiles(t *testing.T) {
	dir := folder(t, "a.png", "broken.png", "c.png")
	p := open(t, replay.Options{Dir: dir})
	got, err := names(t, p, 9)
	if d := cmp.Diff([]string{"a.png", "c.png"}, got); d != "" || err != io.EOF || p.Skipped() != 1 {
		t.Errorf("got %v, %v, %d skipped", got, err, p.Skipped())
	}
	p = open(t, replay.Options{Dir: dir, Strict: true})
	_, err = names(t, p, 9)
	if !errors.Is(err, still.ErrTruncated) || !strings.Contains(err.Error(), "broken.png") {
		t.Errorf("strict: got %v", err)
	}
	dir = folder(t, "broken1.png", "broken2.png")
	_, err = names(t, open(t, replay.Options{Dir: dir, Loop: true}), 9)
	if !errors.Is(err, replay.ErrNoPictures) {
		t.Errorf("all broken, looped: got %v", err)
	}
}

// TestPaced checks delivery to the nanosecond: by timing.csv, by rate, over
// the end of a round, and without delay for a late reader.
func TestPaced(t *testing.T) {
	dir := folder(t, "a.png", "b.png", "c.png")
	timed := folder(t, "a.png", "b.png", "c.png")
	write(t, timed, replay.TimingFile, "file,offset_ms\n# comment\nc.png,0\na.png, 12.5\nb.png,1000\nc.png,1000\n")
	for _, c := range []struct {
		name  string
		o     replay.Options
		names []string
		at    []time.Duration
		fps   float64
	}{
		{"rate", replay.Options{Dir: dir, FPS: 4}, []string{"a.png", "b.png", "c.png"},
			[]time.Duration{0, 250e6, 500e6}, 4},
		{"default rate", replay.Options{Dir: dir}, []string{"a.png", "b.png", "c.png"},
			[]time.Duration{0, 100e6, 200e6}, 10},
		{"loop", replay.Options{Dir: dir, FPS: 4, Loop: true}, []string{"a.png", "b.png", "c.png", "a.png", "b.png"},
			[]time.Duration{0, 250e6, 500e6, 750e6, 1000e6}, 4},
		{"timing", replay.Options{Dir: timed}, []string{"c.png", "a.png", "b.png", "c.png"},
			[]time.Duration{0, 12500e3, 1000e6, 1000e6}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.o.Paced = true
				p := open(t, c.o)
				if got := p.Info().FPS; got != c.fps {
					t.Errorf("got %v frames a second, want %v", got, c.fps)
				}
				begin := time.Now()
				var f camera.Frame
				for i, want := range c.at {
					if err := p.ReadFrame(t.Context(), &f); err != nil {
						t.Fatal(err)
					}
					if got := time.Since(begin); got != want || f.Name != c.names[i] || !f.Captured.Equal(time.Now()) {
						t.Errorf("frame %d: got %s at %v, want %s at %v", i, f.Name, got, c.names[i], want)
					}
				}
			})
		})
	}
}

// TestLateReader is not made to wait for what is overdue.
func TestLateReader(t *testing.T) {
	dir := folder(t, "a.png", "b.png", "c.png")
	synctest.Test(t, func(t *testing.T) {
		p := open(t, replay.Options{Dir: dir, FPS: 1, Paced: true})
		var f camera.Frame
		for i := range 3 {
			begin := time.Now()
			if err := p.ReadFrame(t.Context(), &f); err != nil || time.Since(begin) != 0 {
				t.Errorf("frame %d: got %v after %v", i, err, time.Since(begin))
			}
			<-time.After(10 * time.Second)
		}
	})
}

// TestDeadlineKeepsFrame ends a wait early: the frame comes with the next call.
func TestDeadlineKeepsFrame(t *testing.T) {
	dir := folder(t, "a.png", "b.png", "c.png")
	synctest.Test(t, func(t *testing.T) {
		p := open(t, replay.Options{Dir: dir, FPS: 1, Paced: true})
		var f, other camera.Frame
		if err := p.ReadFrame(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			if err := p.ReadFrame(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		if err := p.ReadFrame(t.Context(), &other); err != nil || other.Name != "b.png" || other.Pix[0] != 1 || other.Seq != 1 {
			t.Errorf("got %s, level %d, %v", other.Name, other.Pix[0], err)
		}
		if err := p.ReadFrame(t.Context(), &f); err != nil || f.Name != "c.png" || f.Pix[0] != 2 {
			t.Errorf("got %s, level %d, %v", f.Name, f.Pix[0], err)
		}
	})
}

// TestCloseUnblocks closes while a reader waits for a frame that is an hour away.
func TestCloseUnblocks(t *testing.T) {
	dir := folder(t, "a.png", "b.png")
	write(t, dir, replay.TimingFile, "a.png,0\nb.png,3600000\n")
	synctest.Test(t, func(t *testing.T) {
		p := open(t, replay.Options{Dir: dir, Paced: true})
		var f camera.Frame
		if err := p.ReadFrame(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		begin, done := time.Now(), make(chan error)
		go func() { done <- p.ReadFrame(t.Context(), &f) }()
		synctest.Wait()
		p.Close()
		if err := <-done; !errors.Is(err, os.ErrClosed) || time.Since(begin) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

func TestOpenErrors(t *testing.T) {
	for name, c := range map[string]struct {
		timing string
		fps    float64
		want   error
		text   string
	}{
		"empty":          {"", 0, replay.ErrNoPictures, "want *.jpg"},
		"negative fps":   {"", -1, replay.ErrOptions, "-1"},
		"empty timing":   {"file,offset_ms\n", 0, replay.ErrNoPictures, "timing.csv"},
		"one column":     {"a.png\n", 0, replay.ErrTiming, "line 1"},
		"no number":      {"a.png,1\nb.png,soon\n", 0, replay.ErrTiming, "timing.csv:2"},
		"negative":       {"a.png,-1\n", 0, replay.ErrTiming, "-1"},
		"not a number":   {"a.png,NaN\n", 0, replay.ErrTiming, "NaN"},
		"falling":        {"a.png,5\nb.png,4\n", 0, replay.ErrTiming, "do not fall"},
		"outside":        {"../a.png,5\n", 0, replay.ErrTiming, "inside the folder"},
		"absolute":       {"/etc/passwd,5\n", 0, replay.ErrTiming, "inside the folder"},
		"beyond a month": {"a.png,1e30\n", 0, replay.ErrTiming, "1e30"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.timing != "" {
				write(t, dir, replay.TimingFile, c.timing)
			}
			_, err := replay.Open(replay.Options{Dir: dir, FPS: c.fps})
			if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
	if _, err := replay.Open(replay.Options{Dir: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: got %v", err)
	}
}
