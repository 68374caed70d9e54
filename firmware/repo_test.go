package firmware

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository as tests of this package see it.
const root = ".."

// goFiles parses every Go file that a person wrote.
func goFiles(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	set, files := token.NewFileSet(), make(map[string]*ast.File)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		files[path], err = parser.ParseFile(set, path, nil, parser.ParseComments)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return set, files
}

func TestTopLevelHoldsTheRoomsOnly(t *testing.T) {
	want := []string{"LICENSE", "README.md", "boards", "camera", "firmware", "go.mod", "go.sum", "infer", "quant", "scripts", "telemetry"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" && !slices.Contains(want, e.Name()) {
			t.Errorf("%s does not belong to the top level", e.Name())
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range listPackages(t, "opencv") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.path())
		}
	}
}

func TestNoInitAndNoPanic(t *testing.T) {
	set, files := goFiles(t)
	for path, f := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.FuncDecl:
				if x.Recv == nil && x.Name.Name == "init" {
					t.Errorf("%v: init() hides work from its caller", set.Position(x.Pos()))
				}
			case *ast.CallExpr:
				if id, ok := x.Fun.(*ast.Ident); ok && id.Name == "panic" {
					t.Errorf("%v: bad input is an error, not a panic", set.Position(x.Pos()))
				}
			}
			return true
		})
	}
}

// maxFunction is the length in lines that no function exceeds.
const maxFunction = 60

func TestFunctionsReadAtAGlance(t *testing.T) {
	set, files := goFiles(t)
	var lengths []int
	for path, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || strings.HasSuffix(path, "_test.go") {
				continue
			}
			n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
			lengths = append(lengths, n)
			if n > maxFunction {
				t.Errorf("%v: %s has %d lines, want at most %d", set.Position(fn.Pos()), fn.Name.Name, n, maxFunction)
			}
		}
	}
	slices.Sort(lengths)
	short, _ := slices.BinarySearch(lengths, 41)
	median, share := lengths[len(lengths)/2], float64(short)/float64(len(lengths))
	t.Logf("%d functions, median %d lines, %.1f %% of at most 40", len(lengths), median, 100*share)
	if median > 10 || share < 0.95 {
		t.Errorf("got median %d and %.3f of functions within 40 lines, want at most 10 and at least 0.95", median, share)
	}
}

func TestTestsNeverSleepInRealTime(t *testing.T) {
	set, files := goFiles(t)
	for path, f := range files {
		if !strings.HasSuffix(path, "_test.go") || imports(f, "testing/synctest") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				t.Errorf("%v: wait for a condition, or use testing/synctest", set.Position(sel.Pos()))
			}
			return true
		})
	}
}

func imports(f *ast.File, path string) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return strings.Trim(i.Path.Value, `"`) == path })
}

var markdownLink = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)

func TestLinksInDocumentsResolve(t *testing.T) {
	documents := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return errOrSkip(err)
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		documents++
		text, err := os.ReadFile(path)
		for _, m := range markdownLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
		return err
	})
	if err != nil || documents < 2 {
		t.Fatalf("read %d documents: %v", documents, err)
	}
}

func errOrSkip(err error) error {
	if err != nil {
		return err
	}
	return filepath.SkipDir
}

// maxFile is the size that no committed file exceeds.
const maxFile = 25 << 20

func TestFilesStaySmall(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
			return errOrSkip(err)
		}
		if info, err := d.Info(); err == nil && info.Size() > maxFile {
			t.Errorf("%s has %d bytes, want at most %d", path, info.Size(), maxFile)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
