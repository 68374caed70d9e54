package boards_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"emberwing/boards"
)

// summary is the one-line form of a Detection that the trees state.
func summary(d boards.Detection) string {
	known := "unknown"
	if d.Known {
		known = "known"
	}
	return fmt.Sprintf("%s %s L4T %s JetPack %s", d.Board.ID, known, orNone(d.L4T.String()), orNone(d.JetPack))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func TestDetectTrees(t *testing.T) {
	for _, path := range trees(t) {
		t.Run(path, func(t *testing.T) {
			fsys, head := tree(t, path)
			d, err := boards.Detect(fsys)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(d); got != head["want"] {
				t.Errorf("got %q, want %q (matched %q, warnings %q)", got, head["want"], d.Matched, d.Warnings)
			}
		})
	}
}

// Every row has a tree, and every tree says where it is from.
func TestTreesCoverTable(t *testing.T) {
	covered := map[string]bool{}
	for _, path := range trees(t) {
		_, head := tree(t, path)
		if !strings.HasPrefix(head["origin"], "captured; ") && !strings.HasPrefix(head["origin"], "constructed; ") {
			t.Errorf("%s: origin %q names neither captured nor constructed", path, head["origin"])
		}
		id, _, _ := strings.Cut(head["want"], " ")
		covered[id] = true
	}
	for _, b := range boards.Table() {
		if !covered[b.ID] {
			t.Errorf("no tree in testdata/trees detects %s", b.ID)
		}
	}
}

// deviceTree is a machine of which only the device tree is known.
func deviceTree(compatible ...string) fstest.MapFS {
	return fstest.MapFS{"proc/device-tree/compatible": {Data: []byte(strings.Join(compatible, "\x00") + "\x00")}}
}

func TestDetectMostSpecificWins(t *testing.T) {
	strs := []string{"nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0003", "nvidia,tegra234"}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {1, 0, 2}} {
		var list []string
		for _, i := range order {
			list = append(list, strs[i])
		}
		d, err := boards.Detect(deviceTree(list...))
		if err != nil || d.Board.ID != "jetson-orin-nx-16gb" {
			t.Errorf("%q: got %s, %v, want jetson-orin-nx-16gb", list, d.Board.ID, err)
		}
	}
}

// Device trees list the most specific string first, so of two boards the one
// named first wins.
func TestDetectFirstOfEqualsWins(t *testing.T) {
	nx, nano := "nvidia,p3768-0000+p3767-0000", "nvidia,p3768-0000+p3767-0003"
	for _, list := range [][]string{{nx, nano}, {nano, nx}} {
		d, err := boards.Detect(deviceTree(list...))
		if err != nil || d.Matched != list[0] {
			t.Errorf("%q: got %q, %v", list, d.Matched, err)
		}
	}
}

func TestDetectUnknownCarrierHasNoHeader(t *testing.T) {
	d, err := boards.Detect(deviceTree("acme,carrier", "nvidia,p3767-0000", "nvidia,tegra234"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Board.StatusLine(); ok || len(d.Board.Header) != 0 {
		t.Error("a foreign carrier got the header of NVIDIA's carrier")
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "unknown carrier") {
		t.Errorf("got warnings %q, want one on the unknown carrier", d.Warnings)
	}
}

func TestDetectWarnsOfForeignL4T(t *testing.T) {
	fsys := deviceTree("nvidia,jetson-nano", "nvidia,tegra210")
	fsys["etc/nv_tegra_release"] = &fstest.MapFile{Data: []byte("# R36 (release), REVISION: 4.3, BOARD: generic\n")}
	d, err := boards.Detect(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "L4T 36.4.3 is not known to support Jetson Nano 4GB") {
		t.Errorf("got warnings %q", d.Warnings)
	}
}

func TestDetectDisputedJetPackIsGenerationOnly(t *testing.T) {
	d, _ := boards.Detect(fstest.MapFS{"etc/nv_tegra_release": {Data: []byte("# R36 (release), REVISION: 5.0, GCID: 1")}})
	if got, want := d.L4T.String()+" "+d.L4T.JetPack()+" "+d.JetPack, "36.5.0  6.2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// denied refuses every file, as a hardened service would see it.
type denied struct{}

func (denied) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestDetectDeniedIsAnErrorAndGeneric(t *testing.T) {
	d, err := boards.Detect(denied{})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want permission denied", err)
	}
	if d.Board.ID != boards.GenericUnknown || d.Known {
		t.Errorf("got %s, want %s", d.Board.ID, boards.GenericUnknown)
	}
}

func TestDetectThisMachine(t *testing.T) {
	d, err := boards.Detect(os.DirFS("/"))
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	if d.Board.ID == "" || d.MemoryTotal == 0 {
		t.Errorf("got board %q with %v of memory", d.Board.ID, d.MemoryTotal)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte("nvidia,jetson-nano\x00nvidia,tegra210\x00"), []byte("NVIDIA Jetson Nano\x00"),
		[]byte("# R32 (release), REVISION: 7.1, GCID: 1"), []byte("MemTotal: 4059504 kB\n"))
	f.Add([]byte("\x00\x00\xff,\x1b[2J"), []byte("\xff\xfe"), []byte("# R"), []byte("MemTotal: 99999999999999999999 kB"))
	long := []byte(strings.Repeat("é", 5000))
	f.Add(long, long, append([]byte("# R36 (release), REVISION: "), long...), long)
	f.Add([]byte{}, []byte{}, []byte("# R999999, REVISION"), []byte("MemTotal:"))
	f.Fuzz(func(t *testing.T, compatible, model, release, meminfo []byte) {
		d, err := boards.Detect(fstest.MapFS{
			"proc/device-tree/compatible": {Data: compatible},
			"proc/device-tree/model":      {Data: model},
			"etc/nv_tegra_release":        {Data: release},
			"proc/meminfo":                {Data: meminfo},
			"proc/cpuinfo":                {Data: model},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d.Board.ID == "" {
			t.Error("no board")
		}
		texts := append(slices.Clone(d.Compatible), d.Model, d.L4T.String(), d.CPUModel)
		for _, s := range texts {
			if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 || len([]rune(s)) > 210 {
				t.Errorf("unprintable or endless text %q", s)
			}
		}
	})
}
