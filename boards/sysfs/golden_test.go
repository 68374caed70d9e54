package sysfs_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"emberwing/boards/sysfs"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tree reads a file system from a txtar file.
func tree(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for _, f := range archive.Files {
		data := f.Data
		if strings.Contains(f.Name, "of_node/") {
			data = bytes.ReplaceAll(data, []byte("\n"), []byte{0})
		}
		fsys[f.Name] = &fstest.MapFile{Data: data}
	}
	return fsys
}

// report prints every reading of a machine.
func report(fsys fs.FS) string {
	var b strings.Builder
	zones, err := sysfs.Temperatures(fsys)
	line(&b, "temperatures", err)
	for _, z := range zones {
		line(&b, fmt.Sprintf("  %s %s (%s) constant=%v trips=%v", z.Zone, z.Name, z.Type, z.Constant(), z.Trips), z.Err, z.Value)
	}
	hot, ok := sysfs.Hottest(zones, "")
	fmt.Fprintf(&b, "hottest: %s %v\n", hot.Name, ok)
	rails, err := sysfs.Rails(fsys)
	line(&b, "rails", err)
	for _, r := range rails {
		line(&b, fmt.Sprintf("  %s channel %d %s", r.Device, r.Channel, r.Label), r.Err, r.Voltage, r.Current, r.Power)
	}
	total, err := sysfs.Total(rails)
	line(&b, "total", err, total)
	gpu, err := sysfs.ReadGPU(fsys)
	line(&b, "gpu", err, gpu.Device, gpu.Clock, gpu.Min, gpu.Max, gpu.Governor)
	if err == nil {
		line(&b, "gpu load", gpu.LoadErr, gpu.Load)
	}
	mem, err := sysfs.ReadMemory(fsys)
	line(&b, "memory", err, mem.Total, mem.Available, mem.SwapTotal, mem.SwapFree)
	cpu, err := sysfs.ReadCPU(fsys)
	line(&b, "cpu", err, cpu.Model, cpu.Cores, cpu.Features)
	return b.String()
}

// line prints a reading, or why there is none.
func line(b *strings.Builder, what string, err error, values ...any) {
	if err != nil {
		fmt.Fprintf(b, "%s: error: %v\n", what, err)
		return
	}
	fmt.Fprintf(b, "%s: %v\n", what, values)
}

func TestGolden(t *testing.T) {
	trees, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(trees) < 6 {
		t.Fatalf("testdata: got %d trees, %v", len(trees), err)
	}
	for _, path := range trees {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			got := report(tree(t, name))
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
