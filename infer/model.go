package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ManifestFile is the name that a manifest has inside the folder of its model.
const ManifestFile = "manifest.json"

// Model is a manifest together with the files that it names. Its methods may
// be called concurrently.
type Model struct {
	Manifest
	fsys fs.FS
	file string // of the manifest, inside fsys
}

// Load reads the manifest at path inside fsys and verifies every file it
// names: size, sha256, and that the graph has the declared input and output.
// All faults are joined into one error.
func Load(fsys fs.FS, path string) (*Model, error) {
	m, err := open(fsys, path)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, v := range m.Variants {
		_, err := m.Bytes(v)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// LoadFile is [Load] for a manifest on disk.
func LoadFile(name string) (*Model, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	folder := filepath.Dir(abs)
	parent, file := filepath.Split(folder)
	if file == "" { // in the root folder, which has nothing beside it
		return Load(os.DirFS(folder), filepath.Base(abs))
	}
	return Load(os.DirFS(parent), path.Join(file, filepath.Base(abs)))
}

// Companion loads the model that m names, from the folder of that name beside
// m's own. fs.ErrNotExist when there is none.
func (m *Model) Companion(name string) (*Model, error) {
	return Load(m.fsys, path.Join(path.Dir(path.Dir(m.file)), name, ManifestFile))
}

// Resolve loads the model that a person names: a model in models (a folder
// with a manifest.json), else the path of a manifest or of its folder on disk.
// models may be nil.
func Resolve(models fs.FS, nameOrPath string) (*Model, error) {
	names := ModelNames(models)
	for _, n := range names {
		if n == nameOrPath {
			return Load(models, path.Join(n, ManifestFile))
		}
	}
	info, err := os.Stat(nameOrPath)
	switch {
	case err == nil && info.IsDir():
		return LoadFile(filepath.Join(nameOrPath, ManifestFile))
	case err == nil:
		return LoadFile(nameOrPath)
	}
	return nil, &Error{Op: "find model", File: nameOrPath, Err: errors.Join(ErrUnknownModel, err),
		Want: "one of " + strings.Join(names, " ") + ", or the path of a manifest.json"}
}

// ModelNames lists the folders of models that hold a manifest, sorted.
func ModelNames(models fs.FS) []string {
	if models == nil {
		return nil
	}
	files, err := fs.Glob(models, "*/"+ManifestFile)
	if err != nil { // the pattern is constant and well-formed
		return nil
	}
	for i, f := range files {
		files[i] = path.Dir(f)
	}
	return files
}

// open reads and parses a manifest without looking at the files it names.
func open(fsys fs.FS, name string) (*Model, error) {
	if path.Ext(name) == ".onnx" {
		return nil, &Error{Op: "read manifest", File: name, Err: ErrManifest, Got: "an ONNX file",
			Want: "its manifest.json", Hint: "labels and preprocessing are declared there"}
	}
	data, err := readBounded(fsys, name, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := ParseManifest(data)
	var invalid *ManifestError
	if errors.As(err, &invalid) {
		invalid.File = name
	}
	if err != nil {
		return nil, err
	}
	return &Model{Manifest: *m, fsys: fsys, file: name}, nil
}

func readBounded(fsys fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &Error{Op: "read", File: name, Err: ErrSize,
			Got: fmt.Sprintf("%d bytes", info.Size()), Want: fmt.Sprintf("at most %d", limit)}
	}
	return fs.ReadFile(fsys, name)
}

// Variant returns the first variant of precision p, or ErrVariant. Sessions
// choose with [Manifest.Select], which knows the provider.
func (m *Manifest) Variant(p Precision) (Variant, error) {
	for _, v := range m.Variants {
		if v.Precision == p {
			return v, nil
		}
	}
	return Variant{}, m.noVariant(p, "", "")
}

// Bytes reads the ONNX file of v and verifies it against the manifest: size
// (ErrTruncated, ErrSize), sha256 (ErrChecksum), protobuf (ErrTruncated,
// ErrModel) and the declared tensors (ErrTensor, ErrShape, ErrDType). The
// caller owns the bytes.
func (m *Model) Bytes(v Variant) ([]byte, error) {
	name := path.Join(path.Dir(m.file), v.File)
	data, err := m.read(name, v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != v.SHA256 {
		return nil, &Error{Op: "read model", File: name, Err: ErrChecksum, Got: got, Want: v.SHA256,
			Hint: "the file is damaged or the manifest belongs to another one"}
	}
	g, err := ReadGraph(data)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", name, err)
	}
	if err := m.match(name, g); err != nil {
		return nil, err
	}
	return data, nil
}

// read returns the bytes of a file whose size is that of v.
func (m *Model) read(name string, v Variant) ([]byte, error) {
	info, err := fs.Stat(m.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	size := info.Size()
	if size == v.Bytes {
		return fs.ReadFile(m.fsys, name)
	}
	e := &Error{Op: "read model", File: name, Err: ErrSize,
		Got: fmt.Sprintf("%d bytes", size), Want: fmt.Sprint(v.Bytes)}
	if size < v.Bytes {
		e.Err, e.Hint = ErrTruncated, "copy the file again"
	}
	return nil, e
}

// match compares the tensors of the graph with those of the manifest. Outputs
// that the manifest does not declare are not computed: it switches features
// and cam off that way.
func (m *Manifest) match(name string, g *Graph) error {
	inputs := []Extra{{m.Input.Name, m.Input.Shape}}
	if n := len(g.Inputs); n != len(inputs) {
		return tensorFault(name, "input", ErrTensor, fmt.Sprint(g.Inputs), fmt.Sprintf("1: %v", inputs))
	}
	return errors.Join(
		matchTensors(name, "input", g.Inputs, inputs),
		matchTensors(name, "output", g.Outputs, m.outputs()),
	)
}

// outputs lists the declared outputs, the main one first.
func (m *Manifest) outputs() []Extra {
	out := []Extra{{m.Output.Name, m.Output.Shape}}
	for _, x := range []*Extra{m.Features, m.CAM} {
		if x != nil {
			out = append(out, *x)
		}
	}
	return out
}

// tensorFault is an error about the tensors of a file.
func tensorFault(file, kind string, err error, got, want string) error {
	return &Error{Op: "check " + kind + " of model", File: file, Err: err, Got: got, Want: want,
		Hint: "the manifest must declare the tensors of the graph"}
}

// matchTensors demands the tensors of want among got, in any order.
func matchTensors(file, kind string, got []Tensor, want []Extra) error {
	for _, w := range want {
		i := slices.IndexFunc(got, func(t Tensor) bool { return t.Name == w.Name })
		switch {
		case i < 0:
			return tensorFault(file, kind, ErrTensor, fmt.Sprint(got), fmt.Sprintf("one %s named %q", kind, w.Name))
		case got[i].DType != "float32":
			return tensorFault(file, kind, ErrDType, got[i].DType, "float32")
		case !got[i].accepts(w.Shape):
			return tensorFault(file, kind, ErrShape, fmt.Sprint(got[i].Shape), fmt.Sprint(w.Shape))
		}
	}
	return nil
}
