//go:build opencv && cgo

package opencv

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"emberwing/camera"
	"emberwing/camera/cameratest"
)

// movie writes n flat frames of 64x48 pixels as Motion JPEG at 20 frames a
// second; frame k has blue, green and red of 10k, 20k and 30k modulo 200.
func movie(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flight.avi")
	w, err := gocv.VideoWriterFile(path, "MJPG", 20, 64, 48, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for k := range n {
		m := gocv.NewMatWithSizeFromScalar(colour(k), 48, 64, gocv.MatTypeCV8UC3)
		err := w.Write(m)
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func colour(k int) gocv.Scalar {
	return gocv.NewScalar(float64(10*k%200), float64(20*k%200), float64(30*k%200), 0)
}

func mustOpen(t testing.TB, o Options) camera.Source {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContractFile(t *testing.T) {
	path := movie(t, 12)
	for name, o := range map[string]Options{
		"plain": {URI: path}, "paced": {URI: path, Paced: true, FPS: 100}, "loop": {URI: path, Loop: true},
	} {
		t.Run(name, func(t *testing.T) {
			cameratest.TestSource(t, func(t testing.TB) camera.Source { return mustOpen(t, o) })
		})
	}
}

// TestFile checks the pixels of every frame, the description and the end.
func TestFile(t *testing.T) {
	const n = 7
	s := mustOpen(t, Options{URI: movie(t, n)})
	if i := s.Info(); i.Width != 64 || i.Height != 48 || i.FPS != 20 || i.Kind != "opencv" {
		t.Errorf("got info %+v", i)
	}
	var f camera.Frame
	for k := range n {
		if err := s.ReadFrame(t.Context(), &f); err != nil {
			t.Fatalf("frame %d: %v", k, err)
		}
		if f.Format != camera.BGR24 || f.Width != 64 || f.Height != 48 || f.Stride != 192 {
			t.Fatalf("got %v %dx%d, stride %d", f.Format, f.Width, f.Height, f.Stride)
		}
		want := colour(k)
		for c, level := range []float64{want.Val1, want.Val2, want.Val3} {
			if got := float64(f.Row(47)[63*3+c]); got < level-4 || got > level+4 {
				t.Errorf("frame %d, channel %d: got %v, want %v", k, c, got, level)
			}
		}
	}
	if err := s.ReadFrame(t.Context(), &f); err != io.EOF {
		t.Errorf("got %v at the end", err)
	}
}

// TestRefused opens files and pipelines that are none.
func TestRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.mp4")
	if err := os.WriteFile(path, []byte("not a video at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{URI: path}, {Device: path}, {Pipeline: "nosuchelement ! appsink"}, {URI: "http://127.0.0.1:1/none.mjpeg"},
	} {
		if s, err := Open(o); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: got %v, %v", o.name(), s, err)
		}
	}
}

// stream serves Motion JPEG over HTTP: n frames, then silence until the test
// ends.
func stream(t testing.TB, n int) *httptest.Server {
	t.Helper()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
		for range n {
			fmt.Fprint(w, "--frame\r\nContent-Type: image/jpeg\r\n\r\n")
			jpeg.Encode(w, image.NewRGBA(image.Rect(0, 0, 64, 48)), nil)
			fmt.Fprint(w, "\r\n")
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release); s.CloseClientConnections(); s.Close() })
	return s
}

// TestStalledStream reads a real network stream that falls silent: the caller
// is back at its deadline, Close at its timeout, the capture is freed when
// FFmpeg gives up.
func TestStalledStream(t *testing.T) {
	var counters Counters
	s, err := Open(Options{URI: stream(t, 200).URL, ReadTimeout: 2 * time.Second, CloseTimeout: 50 * time.Millisecond, Counters: &counters})
	if err != nil {
		t.Fatal(err)
	}
	var f camera.Frame
	frames := 0
	for err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		begin := time.Now()
		err = s.ReadFrame(ctx, &f)
		cancel()
		if late := time.Since(begin); late > time.Second {
			t.Errorf("read came back after %v", late)
		}
		frames++
	}
	if !errors.Is(err, context.DeadlineExceeded) || frames < 3 {
		t.Errorf("got %v after %d frames", err, frames)
	}
	s.Close()
	if counters.Abandoned() != 1 {
		t.Errorf("got %d abandoned captures, want 1", counters.Abandoned())
	}
	<-s.(*capture).exited
	if counters.Stuck() != 0 {
		t.Errorf("got %d stuck captures after the read came back", counters.Stuck())
	}
}

// TestVanishedStream is told apart from the end of a file.
func TestVanishedStream(t *testing.T) {
	server := stream(t, 200)
	s := mustOpen(t, Options{URI: server.URL})
	var f camera.Frame
	if err := s.ReadFrame(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections()
	var err error
	for err == nil {
		err = s.ReadFrame(t.Context(), &f)
	}
	if !errors.Is(err, ErrVanished) {
		t.Errorf("got %v, want %v", err, ErrVanished)
	}
}

// TestPipeline runs a pipeline of GStreamer's core elements. Where the appsink
// plugin is missing (Debian: gstreamer1.0-plugins-base) it must be refused.
func TestPipeline(t *testing.T) {
	s, err := Open(Options{Pipeline: "fakesrc num-buffers=3 sizetype=fixed sizemax=9216 filltype=pattern" +
		" ! capsfilter caps=video/x-raw,format=BGR,width=64,height=48,framerate=30/1 ! appsink"})
	if err != nil {
		plugins, _ := filepath.Glob("/usr/lib/*/gstreamer-1.0/libgstapp.so")
		if !errors.Is(err, ErrOpen) || len(plugins) > 0 {
			t.Fatal(err)
		}
		return
	}
	defer s.Close()
	if i := s.Info(); i.Width != 64 || i.Height != 48 || i.FPS != 30 {
		t.Errorf("got info %+v", i)
	}
	var f camera.Frame
	for range 3 {
		if err := s.ReadFrame(t.Context(), &f); err != nil || f.Format != camera.BGR24 || f.Row(0)[5] != 5 {
			t.Fatalf("got %v frame, %v", f.Format, err)
		}
	}
	if err := s.ReadFrame(t.Context(), &f); !errors.Is(err, ErrVanished) {
		t.Errorf("got %v at the end of the pipeline, want %v", err, ErrVanished)
	}
}

// TestOpenHangs opens a pipe that nobody writes to: OpenCV hangs, Open does
// not, and the capture is freed once the pipe gets a writer.
func TestOpenHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.avi")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var counters Counters
	_, err := Open(Options{URI: path, OpenTimeout: 100 * time.Millisecond, Counters: &counters})
	if !errors.Is(err, os.ErrDeadlineExceeded) || counters.Stuck() != 1 {
		t.Errorf("got %v, %d stuck", err, counters.Stuck())
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	for limit := time.Now().Add(20 * time.Second); counters.Stuck() > 0 && time.Now().Before(limit); {
		runtime.Gosched()
	}
	if counters.Stuck() != 0 {
		t.Error("the capture was not freed")
	}
}

// descriptors counts the open files of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// TestNoLeak opens and closes a thousand times, with and without reading, and
// a file that is refused.
func TestNoLeak(t *testing.T) {
	path := movie(t, 3)
	bad := filepath.Join(t.TempDir(), "bad.avi")
	if err := os.WriteFile(bad, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	cycle := func(i int) {
		s, err := Open(Options{URI: path})
		if err != nil {
			t.Fatal(err)
		}
		var f camera.Frame
		for range i % 5 {
			if err := s.ReadFrame(t.Context(), &f); err != nil && err != io.EOF {
				t.Fatal(err)
			}
		}
		s.Close()
		if i%10 == 0 {
			if _, err := Open(Options{URI: bad}); !errors.Is(err, ErrOpen) {
				t.Fatal(err)
			}
		}
	}
	cycle(0) // libraries open what they keep
	files, before := descriptors(t), mats()
	for i := range 1000 {
		cycle(i)
	}
	if got := descriptors(t); got > files {
		t.Errorf("got %d open files, want %d", got, files)
	}
	if got := mats(); got != before {
		t.Errorf("got %d open Mats, want %d", got, before)
	}
}

func BenchmarkReadFrame(b *testing.B) {
	s := mustOpen(b, Options{URI: movie(b, 50), Loop: true})
	var f camera.Frame
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.ReadFrame(ctx, &f); err != nil {
			b.Fatal(err)
		}
	}
}
