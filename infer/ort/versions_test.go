//go:build cgo && linux

package ort

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// libraries returns every library under bin/lib: the installed one, and those
// of other versions that may lie in bin/lib/versions/<version>/.
func libraries(t *testing.T) []string {
	t.Helper()
	root := filepath.Join("..", "..", "bin", "lib")
	dirs, err := filepath.Glob(filepath.Join(root, "versions", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, dir := range append(dirs, root) {
		if file := libraryIn(dir); file != "" {
			files = append(files, file)
		}
	}
	return files
}

// TestLibraryVersions runs the tests that need a library in a child process
// for each library at hand, since a process loads one.
func TestLibraryVersions(t *testing.T) {
	if os.Getenv(libraryVar) != "" {
		t.SkipNow() // this is the child
	}
	load(t) // fails or skips where no library is
	for _, file := range libraries(t) {
		lib, err := Inspect(file)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(lib.Version, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^(TestSession|TestOpen|TestOld|TestRuntime|TestOne|TestNoDiff)", "-test.v")
			child.Env = append(os.Environ(), libraryVar+"="+file)
			out, err := child.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "PASS: TestSessionKeepsTheContract") {
				t.Errorf("%s: %v\n%s", file, err, out)
			}
		})
	}
}

// TestOldLibraryRefusesOnlyWhatItLacks shows that the bridge ends at the level
// of the library.
func TestOldLibraryRefusesOnlyWhatItLacks(t *testing.T) {
	rt := load(t)
	level, err := levelOf(rt.Version())
	if err != nil || rt.Level() != min(level, wrapperLevel) {
		t.Errorf("level %d of library %s, %v", rt.Level(), rt.Version(), err)
	}
	err = newerCall()
	old := err != nil && strings.Contains(err.Error(), "too old")
	if old != (level < 14) { // HasSessionConfigEntry came with 1.14
		t.Errorf("call of 1.14 on library %s: got %v", rt.Version(), err)
	}
}

// TestLevelsMatchHeader compares the table with the header of the wrapper,
// which says for most functions since which version they exist.
func TestLevelsMatchHeader(t *testing.T) {
	names, since := headerFunctions(t)
	if len(names) != entries[wrapperLevel] {
		t.Fatalf("got %d functions in the header, want %d", len(names), entries[wrapperLevel])
	}
	for i, name := range names {
		if v := since[name]; v > MinLevel && (i < entries[v-1] || i >= entries[v]) {
			t.Errorf("function %d, %s, is of level %d, whose end is %d", i, name, v, entries[v])
		}
	}
	for i, want := range []string{0: "CreateStatus", 3: "CreateEnv", 4: "CreateEnvWithCustomLogger"} {
		if want != "" && names[i] != want {
			t.Errorf("function %d: got %s, want %s", i, names[i], want)
		}
	}
}

var (
	member  = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*|ORT_API2_STATUS\(\s*(\w+)|ORT_API_T\(\s*[^,]+,\s*(\w+)|ORT_CLASS_RELEASE\((\w+)\)|\(ORT_API_CALL\s*\*\s*(\w+)\)`)
	version = regexp.MustCompile(`since Version 1\.(\d+)`)
)

// headerFunctions returns the members of struct OrtApi in order.
func headerFunctions(t *testing.T) (names []string, since map[string]int) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	header, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(header), "#define ORT_API_VERSION "+strconv.Itoa(wrapperLevel)+"\n") {
		t.Errorf("the header is not of level %d", wrapperLevel)
	}
	_, body, _ := strings.Cut(string(header), "struct OrtApi {")
	body, _, _ = strings.Cut(body, "\n};")
	since, level := map[string]int{}, 0
	for _, m := range member.FindAllStringSubmatch(body, -1) {
		name := m[1] + m[2] + m[4]
		if m[3] != "" {
			name = "Release" + m[3]
		}
		if name == "" {
			if v := version.FindStringSubmatch(m[0]); v != nil {
				level, _ = strconv.Atoi(v[1])
			}
			continue
		}
		names, since[name], level = append(names, name), level, 0
	}
	return names, since
}
