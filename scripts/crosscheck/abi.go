package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// target is the file system that programs will run on, as far as its loader is concerned.
type target struct {
	root    string
	folders []string             // where the loader looks, inside root
	glibc   version              // newest GLIBC allowed, zero: what the target's libc defines
	known   map[string]*elf.File // libraries opened so far, by name; nil: not there
}

// newTarget describes the arm64 or x86-64 system whose files are under root.
func newTarget(root string) *target {
	t := &target{root: root, known: map[string]*elf.File{}}
	for _, base := range []string{"/lib", "/usr/lib", "/usr/local/lib"} {
		for _, triple := range []string{"aarch64-linux-gnu", "x86_64-linux-gnu", "."} {
			t.folders = append(t.folders, filepath.Join(base, triple))
		}
	}
	configs, _ := filepath.Glob(filepath.Join(root, "etc/ld.so.conf.d/*.conf"))
	for _, config := range configs {
		text, _ := os.ReadFile(config) // an unreadable file adds no folder
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
				t.folders = append(t.folders, line)
			}
		}
	}
	return t
}

// limitGLIBC allows no GLIBC newer than text, such as "2.31"; empty text keeps the target's own limit.
func (t *target) limitGLIBC(text string) error {
	if text == "" {
		return nil
	}
	v, ok := parseVersion("GLIBC_" + strings.TrimPrefix(text, "GLIBC_"))
	if !ok {
		return fmt.Errorf("%w: --glibc: got %q, want a version such as 2.31", errUsage, text)
	}
	t.glibc = v
	return nil
}

// check reports what file needs and returns an error when the target does not have all of it.
func (t *target) check(file string, out io.Writer) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("check %s: %w", file, err)
	}
	defer f.Close()
	needs, err := f.DynamicVersionNeeds()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return fmt.Errorf("check %s: %w", file, err)
	}
	faults := t.missingLibraries(f, filepath.Base(file))
	faults = append(faults, t.missingVersions(f, needs)...)
	fmt.Fprintf(out, "%s: %s, needs %s, target has %s\n", file, f.Machine, newest(needs), t.newest())
	if len(faults) > 0 {
		return fmt.Errorf("%s cannot start on the target\n  %s", file, strings.Join(faults, "\n  "))
	}
	return nil
}

// missingLibraries walks everything that f loads and names the libraries that the target lacks.
func (t *target) missingLibraries(f *elf.File, name string) []string {
	var faults []string
	type node struct {
		file *elf.File
		name string
	}
	seen := map[string]bool{}
	for queue := []node{{f, name}}; len(queue) > 0; queue = queue[1:] {
		libraries, _ := queue[0].file.ImportedLibraries() // none in a static program
		for _, library := range libraries {
			if seen[library] {
				continue
			}
			seen[library] = true
			if found := t.library(library, queue[0].file); found != nil {
				queue = append(queue, node{found, library})
			} else {
				faults = append(faults, fmt.Sprintf("%s, which %s loads, is not in %s", library, queue[0].name, t.root))
			}
		}
	}
	return faults
}

// missingVersions names the symbol versions that f needs and the target's libraries do not define.
func (t *target) missingVersions(f *elf.File, needs []elf.DynamicVersionNeed) []string {
	var faults []string
	for _, need := range needs {
		offered := t.offered(need.Name)
		for _, dep := range need.Needs {
			v, isGLIBC := parseVersion(dep.Dep)
			tooNew := isGLIBC && t.glibc != version{} && v.compare(t.glibc) > 0
			if tooNew || !slices.Contains(offered, dep.Dep) && len(offered) > 0 {
				faults = append(faults, fmt.Sprintf("%s of %s is newer than the target's %s, needed for %s",
					dep.Dep, need.Name, t.newest(), symbols(f, need.Name, dep.Dep)))
			}
		}
	}
	return faults
}

// symbols names a few of the functions for which f needs one version of a library.
func symbols(f *elf.File, library, version string) string {
	imported, _ := f.ImportedSymbols() // only for the message
	var names []string
	for _, s := range imported {
		if s.Library == library && s.Version == version {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	if len(names) > 4 {
		names = append(names[:4], fmt.Sprintf("%d more", len(names)-4))
	}
	return strings.Join(names, ", ")
}

// offered lists the symbol versions that a library of the target defines, none when it is missing.
func (t *target) offered(library string) []string {
	f := t.library(library, nil)
	if f == nil {
		return nil
	}
	versions, _ := f.DynamicVersions() // a library without versions offers none
	var names []string
	for _, v := range versions {
		names = append(names, v.Name)
	}
	return names
}

// newest is the newest GLIBC that the target has or is allowed.
func (t *target) newest() version {
	if (t.glibc != version{}) {
		return t.glibc
	}
	var top version
	for _, name := range t.offered("libc.so.6") {
		if v, ok := parseVersion(name); ok && v.compare(top) > 0 {
			top = v
		}
	}
	return top
}

// newest is the newest GLIBC among needs.
func newest(needs []elf.DynamicVersionNeed) version {
	var top version
	for _, need := range needs {
		for _, dep := range need.Needs {
			if v, ok := parseVersion(dep.Dep); ok && v.compare(top) > 0 {
				top = v
			}
		}
	}
	return top
}

// library opens a shared library where the loader would find it, nil when the target lacks it.
func (t *target) library(name string, loader *elf.File) *elf.File {
	if f, ok := t.known[name]; ok {
		return f
	}
	for _, folder := range append(runPath(loader), t.folders...) {
		if path, err := t.resolve(filepath.Join(folder, name)); err == nil {
			if f, err := elf.Open(path); err == nil {
				t.known[name] = f
				return f
			}
		}
	}
	t.known[name] = nil
	return nil
}

// runPath lists the folders that a file itself adds to the search.
func runPath(f *elf.File) []string {
	if f == nil {
		return nil
	}
	var folders []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		paths, _ := f.DynString(tag)
		for _, path := range paths {
			folders = append(folders, strings.Split(path, ":")...)
		}
	}
	return folders
}

// resolve follows symbolic links as the target would: an absolute link starts at its root.
func (t *target) resolve(path string) (string, error) {
	for range 20 {
		real := filepath.Join(t.root, path)
		link, err := os.Readlink(real)
		if err != nil {
			_, err = os.Stat(real)
			return real, err
		}
		if filepath.IsAbs(link) {
			path = link
		} else {
			path = filepath.Join(filepath.Dir(path), link)
		}
	}
	return "", fmt.Errorf("resolve %s: %w", path, fs.ErrInvalid)
}

// version is a GLIBC symbol version.
type version struct{ major, minor, patch int }

// parseVersion reads names such as GLIBC_2.34 or GLIBC_2.2.5, and no other family's.
func parseVersion(name string) (version, bool) {
	digits, ok := strings.CutPrefix(name, "GLIBC_")
	if !ok {
		return version{}, false
	}
	var numbers [3]int
	for i, part := range strings.Split(digits, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || i >= len(numbers) {
			return version{}, false
		}
		numbers[i] = n
	}
	return version{numbers[0], numbers[1], numbers[2]}, true
}

func (v version) compare(w version) int {
	return slices.Compare([]int{v.major, v.minor, v.patch}, []int{w.major, w.minor, w.patch})
}

// String is the name of the symbol version, or "no GLIBC" for the zero version.
func (v version) String() string {
	switch {
	case v == version{}:
		return "no GLIBC"
	case v.patch == 0:
		return fmt.Sprintf("GLIBC_%d.%d", v.major, v.minor)
	}
	return fmt.Sprintf("GLIBC_%d.%d.%d", v.major, v.minor, v.patch)
}
