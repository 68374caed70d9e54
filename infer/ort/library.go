package ort

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"emberwing/infer"
)

// Faults of finding and loading the library.
var (
	// ErrNoCgo is returned by everything in a build without cgo or for
	// another system than Linux.
	ErrNoCgo = errors.New("built without ONNX Runtime (build with CGO_ENABLED=1 on linux)")
	// ErrNoLibrary means that no library was found.
	ErrNoLibrary = errors.New("ONNX Runtime library not found")
	// ErrLibrary means that the file found cannot be used.
	ErrLibrary = errors.New("not a usable ONNX Runtime library")
	// ErrArch means that the library is for another processor.
	ErrArch = errors.New("library is for another processor")
	// ErrVersion means that the library is too old.
	ErrVersion = errors.New("ONNX Runtime is too old")
	// ErrLoaded means that another library is already loaded.
	ErrLoaded = errors.New("another ONNX Runtime is already loaded")
)

const (
	soname   = "libonnxruntime.so.1"
	setupFix = "run scripts/setup, or name the library in the configuration"
)

// Library describes a library file without loading it.
type Library struct {
	Path    string
	Version string // e.g. "1.16.3"; "" when the file does not say
	Machine string // processor, as GOARCH: "amd64", "arm64", else the ELF name
	Needed  []string
}

// Inspect reads the headers of a library file. It runs nothing of it, so it is
// safe for files of another processor.
func Inspect(path string) (Library, error) {
	f, err := elf.Open(path)
	var format *elf.FormatError
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		return Library{}, fmt.Errorf("inspect library: %w", err)
	case errors.As(err, &format) || err != nil:
		return Library{}, &infer.Error{Op: "inspect library", File: path, Err: ErrLibrary,
			Got: err.Error(), Want: "an ELF shared library", Hint: setupFix}
	}
	defer f.Close()
	lib := Library{Path: path, Machine: goarch(f.Machine)}
	if lib.Needed, err = f.ImportedLibraries(); err != nil {
		return Library{}, &infer.Error{Op: "inspect library", File: path, Err: ErrLibrary, Got: err.Error(), Hint: setupFix}
	}
	lib.Version = versionOf(f)
	return lib, nil
}

// versionOf finds the version in the symbol version VERS_1.N.P, which the
// project defines in every release; "" if the file defines none.
func versionOf(f *elf.File) string {
	versions, err := f.DynamicVersions()
	if err != nil {
		return ""
	}
	for _, v := range versions {
		if name, ok := strings.CutPrefix(v.Name, "VERS_"); ok {
			return name
		}
	}
	return ""
}

func goarch(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	}
	return m.String()
}

// Usable returns nil if a program of architecture arch can load the library,
// else ErrArch or ErrVersion with what to do. A library that does not state
// its version passes; the version is checked again once it is loaded.
func (l Library) Usable(arch string) error {
	if l.Machine != arch {
		return &infer.Error{Op: "check library", File: l.Path, Err: ErrArch, Got: l.Machine, Want: arch, Hint: setupFix}
	}
	if l.Version == "" {
		return nil
	}
	level, err := levelOf(l.Version)
	if err != nil {
		return fmt.Errorf("check library %s: %w", l.Path, err)
	}
	if level < MinLevel {
		return tooOld(l.Path, l.Version)
	}
	return nil
}

func tooOld(path, version string) error {
	return &infer.Error{Op: "check library", File: path, Err: ErrVersion, Got: version,
		Want: fmt.Sprintf("1.%d or newer", MinLevel), Hint: setupFix}
}

// Locate finds the library. An explicit path, of a file or of a folder, is the
// only place looked at. Otherwise the places are, in order: lib, ../lib and
// the folder of the executable; bin/lib of the module when a test or go run
// is running; LD_LIBRARY_PATH and the system's library folders. The error
// names every place.
func Locate(explicit string) (string, error) {
	dirs := searchDirs()
	if explicit != "" {
		if info, err := os.Stat(explicit); err == nil && !info.IsDir() {
			return filepath.Abs(explicit)
		}
		dirs = []string{explicit}
	}
	for _, dir := range dirs {
		if file := libraryIn(dir); file != "" {
			return filepath.Abs(file)
		}
	}
	return "", &infer.Error{Op: "find library", File: soname, Hint: setupFix,
		Err: fmt.Errorf("%w in %s", ErrNoLibrary, strings.Join(dirs, ", "))}
}

// libraryIn returns the library file in dir, preferring the stable name.
func libraryIn(dir string) string {
	versioned, _ := filepath.Glob(filepath.Join(dir, soname+".*"))
	slices.Reverse(versioned)
	names := append([]string{filepath.Join(dir, soname), filepath.Join(dir, "libonnxruntime.so")}, versioned...)
	for _, n := range names {
		if info, err := os.Stat(n); err == nil && info.Mode().IsRegular() {
			return n
		}
	}
	return ""
}

func searchDirs() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		at := filepath.Dir(exe)
		dirs = append(dirs, filepath.Join(at, "lib"), filepath.Join(at, "..", "lib"), at)
		dirs = append(dirs, moduleDirs(exe)...)
	}
	dirs = append(dirs, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	return append(dirs, "/opt/onnxruntime/lib", "/usr/local/lib", "/usr/lib/"+triplet, "/usr/lib")
}

// moduleDirs returns bin/lib of the module around the working directory, for
// executables that the go command has built in a temporary folder. A program
// that has been installed never looks there.
func moduleDirs(exe string) []string {
	if !strings.HasSuffix(exe, ".test") && !strings.Contains(exe, "/go-build") {
		return nil
	}
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return []string{filepath.Join(dir, "bin", "lib")}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return nil
}
