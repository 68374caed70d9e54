package sysfs_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"emberwing/boards/sysfs"
)

// faulty is a file system in which some files cannot be opened or read, as
// drivers and permissions make them.
type faulty struct {
	fs.FS
	open, read map[string]error // by path
}

func (f faulty) Open(name string) (fs.File, error) {
	if err := f.open[name]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file, err := f.FS.Open(name)
	if e := f.read[name]; e != nil && err == nil {
		return failing{file, &fs.PathError{Op: "read", Path: name, Err: e}}, nil
	}
	return file, err
}

// failing is a file that opens and does not read.
type failing struct {
	fs.File
	err error
}

func (f failing) Read([]byte) (int, error) { return 0, f.err }

const temp0 = "sys/class/thermal/thermal_zone0/temp"

func TestZoneFaultsAreTold(t *testing.T) {
	for _, tt := range []struct {
		name string
		fsys func(fs.FS) fs.FS
		want error
	}{
		{"EINVAL", func(f fs.FS) fs.FS { return faulty{FS: f, read: map[string]error{temp0: syscall.EINVAL}} }, sysfs.ErrNoData},
		{"EAGAIN", func(f fs.FS) fs.FS { return faulty{FS: f, read: map[string]error{temp0: syscall.EAGAIN}} }, sysfs.ErrNoData},
		{"EPERM", func(f fs.FS) fs.FS { return faulty{FS: f, read: map[string]error{temp0: syscall.EPERM}} }, fs.ErrPermission},
		{"EACCES", func(f fs.FS) fs.FS { return faulty{FS: f, open: map[string]error{temp0: syscall.EACCES}} }, fs.ErrPermission},
		{"no file", func(f fs.FS) fs.FS { return faulty{FS: f, open: map[string]error{temp0: fs.ErrNotExist}} }, sysfs.ErrNoData},
	} {
		zones, err := sysfs.Temperatures(tt.fsys(tree(t, "nano-jp4")))
		if err != nil {
			t.Fatal(err)
		}
		if len(zones) != 6 || !errors.Is(zones[0].Err, tt.want) || zones[1].Err != nil {
			t.Errorf("%s: got %v and %v, want %v and nil", tt.name, zones[0].Err, zones[1].Err, tt.want)
		}
		for _, other := range []error{sysfs.ErrNoData, sysfs.ErrAbsent, fs.ErrPermission} {
			if other != tt.want && errors.Is(zones[0].Err, other) {
				t.Errorf("%s: %v is %v too", tt.name, zones[0].Err, other)
			}
		}
	}
}

func TestOddZoneTexts(t *testing.T) {
	for _, text := range []string{"", "hot", "999999999", "99999999999999999999", "-256000\n", "\xff\x00"} {
		fsys := tree(t, "nano-jp4")
		fsys[temp0] = &fstest.MapFile{Data: []byte(text)}
		zones, err := sysfs.Temperatures(fsys)
		if err != nil || !errors.Is(zones[0].Err, sysfs.ErrNoData) {
			t.Errorf("%q: got %v, %v, want no data", text, zones[0].Err, err)
		}
	}
}

func TestDeniedDirectoryIsNotAbsence(t *testing.T) {
	denied := faulty{FS: tree(t, "nano-jp4"), open: map[string]error{
		"sys/class/thermal": syscall.EACCES, "sys/bus/i2c/devices": syscall.EACCES, "sys/class/devfreq": syscall.EACCES,
	}}
	_, err1 := sysfs.Temperatures(denied)
	_, err2 := sysfs.Rails(denied)
	_, err3 := sysfs.ReadGPU(denied)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, fs.ErrPermission) || errors.Is(err, sysfs.ErrAbsent) || !strings.Contains(err.Error(), "udev rule") {
			t.Errorf("got %v, want permission denied with a hint", err)
		}
	}
}

// A stock Nano gives its rails to root only: never 0 W.
func TestDeniedRailIsNotZeroWatts(t *testing.T) {
	dir := "sys/bus/i2c/devices/6-0040/iio:device0/"
	for _, path := range []string{dir + "in_voltage0_input", dir + "rail_name_0", dir[:len(dir)-1-len("/iio:device0")]} {
		rails, err := sysfs.Rails(faulty{FS: tree(t, "nano-jp4"), open: map[string]error{path: syscall.EACCES}})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := sysfs.Total(rails); !errors.Is(err, fs.ErrPermission) || p != 0 {
			t.Errorf("%s denied: got total %v, %v, want permission denied", path, p, err)
		}
	}
}

func TestImplausibleRailIsNoData(t *testing.T) {
	for _, text := range []string{"100001", "-100001", "9223372036854775807"} {
		fsys := tree(t, "nano-jp4")
		fsys["sys/bus/i2c/devices/6-0040/iio:device0/in_current0_input"] = &fstest.MapFile{Data: []byte(text)}
		rails, err := sysfs.Rails(fsys)
		if err != nil || !errors.Is(rails[0].Err, sysfs.ErrNoData) {
			t.Errorf("%s mA: got %+v, %v", text, rails[0], err)
		}
	}
}

func TestTotalNeedsEveryRailOfASum(t *testing.T) {
	path := "sys/bus/i2c/devices/1-0040/hwmon/hwmon4/curr2_input"
	rails, err := sysfs.Rails(faulty{FS: tree(t, "agx-orin-jp5"), read: map[string]error{path: syscall.EIO}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sysfs.Total(rails); !errors.Is(err, sysfs.ErrNoData) {
		t.Errorf("got %v, want no data", err)
	}
}

func TestGPULoadFaults(t *testing.T) {
	load := "sys/class/devfreq/57000000.gpu/device/load"
	g, err := sysfs.ReadGPU(faulty{FS: tree(t, "nano-jp4"), open: map[string]error{load: syscall.EACCES}})
	if err != nil || !errors.Is(g.LoadErr, fs.ErrPermission) || g.Clock == 0 {
		t.Errorf("got %+v, %v", g, err)
	}
	fsys := tree(t, "nano-jp4")
	fsys[load] = &fstest.MapFile{Data: []byte("1001")}
	if g, err := sysfs.ReadGPU(fsys); err != nil || !errors.Is(g.LoadErr, sysfs.ErrNoData) {
		t.Errorf("1001 per mille: got %+v, %v", g, err)
	}
}

func TestHottestByName(t *testing.T) {
	zones, err := sysfs.Temperatures(tree(t, "nano-jp4"))
	if err != nil {
		t.Fatal(err)
	}
	if z, ok := sysfs.Hottest(zones, "GPU"); !ok || z.Value != 40000 {
		t.Errorf("got %v, %v", z, ok)
	}
	if _, ok := sysfs.Hottest(zones, "cv0"); ok {
		t.Error("a zone that is not there has a reading")
	}
	zones, err = sysfs.Temperatures(tree(t, "orin-nano-jp6"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := sysfs.Hottest(zones, "cv0"); ok {
		t.Error("a zone that is powered down has a reading")
	}
}

func TestFeatures(t *testing.T) {
	cpu, err := sysfs.ReadCPU(tree(t, "pc"))
	if err != nil || !cpu.Has("avx512_vnni") || cpu.Has("avx_vnni") || cpu.Cores != 2 {
		t.Errorf("got %+v, %v", cpu, err)
	}
}

// The machine that runs the test is a real tree.
func TestThisMachine(t *testing.T) {
	host := os.DirFS("/")
	if m, err := sysfs.ReadMemory(host); err != nil || m.Available == 0 || m.Available > m.Total {
		t.Errorf("memory: got %+v, %v", m, err)
	}
	if c, err := sysfs.ReadCPU(host); err != nil || len(c.Features) == 0 {
		t.Errorf("cpu: got %+v, %v", c, err)
	}
	_ = report(host)
}

func FuzzSensors(f *testing.F) {
	f.Add("GPU-therm", "41500", "VDD_IN", "5000", "MemTotal: 1 kB\nprocessor: 0")
	f.Add("\xff\x00", "-256000", "NC", "9223372036854775807", ":::\x00")
	f.Fuzz(func(t *testing.T, typ, temp, label, milli, proc string) {
		file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
		dir := "sys/bus/i2c/devices/1-0040/"
		_ = report(fstest.MapFS{
			"sys/class/thermal/thermal_zone0/type": file(typ), temp0: file(temp),
			dir + "name": file("ina3221"), dir + "hwmon/hwmon1/in1_label": file(label),
			dir + "hwmon/hwmon1/in1_input": file(milli), dir + "hwmon/hwmon1/curr1_input": file(milli),
			"sys/class/devfreq/1.gpu/cur_freq": file(milli), "sys/class/devfreq/1.gpu/device/load": file(milli),
			"proc/meminfo": file(proc), "proc/cpuinfo": file(proc),
		})
	})
}
