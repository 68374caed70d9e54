package firmware

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is the path that every package of this repository starts with.
const module = "emberwing/"

// room says what the packages below a folder may import of this repository.
type room struct {
	name    string
	may     []string // other rooms
	because string
}

// rooms is the contract: they never import each other, firmware joins them.
var rooms = []room{
	{"camera", nil, "a camera serves any model and any link"},
	{"infer", nil, "a model is judged the same in flight, in eval and on the bench"},
	{"quant", []string{"infer", "camera"}, "calibration feeds pictures to models"},
	{"telemetry", nil, "a ground station needs messages, not cameras or models"},
	{"boards", nil, "board facts are data that others are handed"},
	{"firmware", []string{"camera", "infer", "quant", "telemetry", "boards"}, "it is the place where rooms meet"},
	{"scripts", []string{"camera", "infer", "telemetry", "boards", "firmware"}, "helpers of the build may use anything but stay thin"},
}

// adapter says which packages alone may import a library.
type adapter struct {
	library string // import path or its beginning
	in      []string
	because string
}

var adapters = []adapter{
	{"gocv.io/x/gocv", []string{"camera/opencv"}, "OpenCV's memory and threads stay behind one package"},
	{"github.com/yalue/onnxruntime_go", []string{"infer/ort"}, "one package owns the C boundary"},
	{"github.com/eclipse/paho.mqtt.golang", []string{"telemetry/mqtt", "telemetry/ground", "telemetry/telemetrytest"}, "the client is a transport that can be replaced"},
	{"github.com/nats-io/", []string{"telemetry/broker"}, "the embedded broker can be replaced"},
	{"periph.io/", []string{"boards/gpio"}, "everything else of a board is read from files"},
	{"go.etcd.io/bbolt", []string{"telemetry/outbox"}, "durability is decided in one place"},
	{"modernc.org/", []string{"telemetry/store"}, "what operators rely on is written in one place"},
	{"charm.land/", []string{"telemetry/console", "firmware/cli"}, "the terminal is one way to see the feed"},
	{"github.com/prometheus/", []string{"telemetry/ground", "firmware/metrics"}, "packages count, programs show"},
	{"os/exec", []string{"telemetry/telemetrytest", "scripts", "firmware/benchmark", "firmware/cli"}, "a program that flies starts no others; the bench starts itself to measure memory"},
}

// restricted packages may not reach certain others, even indirectly.
var restricted = []struct{ from, to, because string }{
	{"firmware/cmd/emberwingd", "emberwing/quant", "nothing of the bench links into flight"},
	{"firmware/pipeline", "emberwing/infer/ort", "the frame path works with any session"},
	{"firmware/pipeline", "gocv.io/x/gocv", "the frame path works with any source"},
	{"firmware/pipeline", "net", "the frame path never waits for a network"},
	{"telemetry/wire", "net", "a schema does no I/O"},
}

// stdlibOnly packages are what others build on; they pull in nothing.
var stdlibOnly = []string{"camera", "camera/pixel", "camera/still", "camera/synth", "infer", "telemetry/wire", "boards"}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	Standard   bool
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func (p *pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func (p *pkg) room() string { r, _, _ := strings.Cut(p.path(), "/"); return r }

// listPackages runs go list over the repository with the given tags.
func listPackages(t *testing.T, tags string) []*pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Dir,Doc,Standard,Imports,Deps,GoFiles", "-tags", tags, "-e", module+"...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // the adapters are part of the rules in every build
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []*pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(pkg)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 20 {
		t.Fatalf("go list found %d packages: the rules below would prove nothing", len(pkgs))
	}
	return pkgs
}

func TestRoomsDoNotImportEachOther(t *testing.T) {
	for _, p := range listPackages(t, "opencv") {
		i := slices.IndexFunc(rooms, func(r room) bool { return r.name == p.room() })
		if i < 0 {
			t.Errorf("%s is in no room", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			other, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			other, _, _ = strings.Cut(other, "/")
			if other != p.room() && !slices.Contains(rooms[i].may, other) {
				t.Errorf("%s imports %s: %s may import %v, because %s", p.path(), imported, p.room(), rooms[i].may, rooms[i].because)
			}
		}
	}
}

func TestLibrariesStayBehindTheirAdapters(t *testing.T) {
	pkgs := listPackages(t, "opencv")
	for _, a := range adapters {
		used := false
		for _, p := range pkgs {
			if !slices.ContainsFunc(p.Imports, func(i string) bool {
				return i == a.library || strings.HasPrefix(i, strings.TrimSuffix(a.library, "/")+"/")
			}) {
				continue
			}
			used = true
			if !slices.ContainsFunc(a.in, func(in string) bool { return p.path() == in || strings.HasPrefix(p.path(), in+"/") }) {
				t.Errorf("%s imports %s: only %v may, because %s", p.path(), a.library, a.in, a.because)
			}
		}
		if !used {
			t.Errorf("nobody imports %s: the row holds nothing", a.library)
		}
	}
}

func TestRestrictedPackagesReachNothingForbidden(t *testing.T) {
	pkgs := listPackages(t, "opencv")
	for _, r := range restricted {
		i := slices.IndexFunc(pkgs, func(p *pkg) bool { return p.path() == r.from })
		if i < 0 {
			t.Errorf("there is no package %s: the row holds nothing", r.from)
			continue
		}
		for _, dep := range pkgs[i].Deps {
			if dep == r.to || strings.HasPrefix(dep, r.to+"/") {
				t.Errorf("%s reaches %s, because %s it must not", r.from, dep, r.because)
			}
		}
	}
}

func TestBasePackagesUseTheStandardLibraryOnly(t *testing.T) {
	pkgs := listPackages(t, "opencv")
	for _, name := range stdlibOnly {
		i := slices.IndexFunc(pkgs, func(p *pkg) bool { return p.path() == name })
		if i < 0 {
			t.Errorf("there is no package %s: the row holds nothing", name)
			continue
		}
		for _, dep := range pkgs[i].Deps {
			first, _, _ := strings.Cut(dep, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(dep, "vendor/") {
				t.Errorf("%s reaches %s, want the standard library only", name, dep)
			}
		}
	}
}

func TestFakesAreForTestsOnly(t *testing.T) {
	for _, p := range listPackages(t, "opencv") {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module) && strings.HasSuffix(imported, "test") && !strings.HasSuffix(path.Base(p.path()), "test") {
				t.Errorf("%s imports %s: fakes are for tests only", p.path(), imported)
			}
		}
	}
}
