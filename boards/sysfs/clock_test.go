package sysfs

import (
	"errors"
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestCPUClocks(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	const dir = "sys/devices/system/cpu/cpufreq/"
	tree := fstest.MapFS{
		dir + "policy0/scaling_cur_freq": file("1479000\n"), dir + "policy4/scaling_cur_freq": file("345600\n"),
		dir + "policy6/scaling_cur_freq": file("<unknown>\n"), dir + "policy7/other": file("1\n"), dir + "boost": file("1\n"),
	}
	got, err := CPUClocks(tree)
	if diff := cmp.Diff([]Clock{{"policy0", 1_479_000_000}, {"policy4", 345_600_000}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := CPUClocks(fstest.MapFS{}); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v without cpufreq, want ErrAbsent", err)
	}
}

func TestResidentMemory(t *testing.T) {
	tree := fstest.MapFS{"proc/self/statm": {Data: []byte("5000 321 100 1 0 400 0\n")}}
	if got, err := ResidentMemory(tree, 4096); err != nil || got != 321*4096 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "12", "12 x"} {
		tree["proc/self/statm"].Data = []byte(bad)
		if _, err := ResidentMemory(tree, 4096); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if got, err := ResidentMemory(os.DirFS("/"), os.Getpagesize()); err != nil || got < 1<<20 {
		t.Errorf("of this process: got %v, %v", got, err)
	}
}
