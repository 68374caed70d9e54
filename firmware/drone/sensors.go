package drone

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"emberwing/boards/sysfs"
	"emberwing/telemetry/wire"
)

// readSensors reads what the board measures now. A sensor without a reading is
// left out: nothing is ever reported as zero that was not measured.
func readSensors() []wire.Sensor {
	root := os.DirFS("/")
	var out []wire.Sensor
	zones, _ := sysfs.Temperatures(root) // an error means that there are none
	for _, z := range zones {
		if z.Err == nil && !z.Constant() && named(z.Type) && len(out) < wire.MaxList/2 {
			out = append(out, wire.Sensor{Name: z.Type, Kind: "temperature", Unit: "celsius", Value: float64(z.Value) / 1000})
		}
	}
	rails, _ := sysfs.Rails(root)
	for _, r := range rails {
		if r.Err == nil && named(r.Label) && len(out) < wire.MaxList-1 {
			out = append(out, wire.Sensor{Name: r.Label, Kind: "power", Unit: "watt", Value: float64(r.Power) / 1000})
		}
	}
	return append(out, readClocks(root, wire.MaxList-len(out))...)
}

// named reports whether a sensor has a name that the schema takes: one odd sensor of a board
// must not keep its whole health from being told.
func named(name string) bool { return name != "" && len(name) <= wire.MaxName && clip(name) == name }

// readClocks reads at most limit clocks.
func readClocks(root fs.FS, limit int) (out []wire.Sensor) {
	if g, err := sysfs.ReadGPU(root); err == nil {
		out = append(out, wire.Sensor{Name: "gpu", Kind: "frequency", Unit: "hertz", Value: float64(g.Clock)})
		if g.LoadErr == nil {
			out = append(out, wire.Sensor{Name: "gpu", Kind: "load", Unit: "share", Value: float64(g.Load) / 1000})
		}
	}
	clocks, _ := sysfs.CPUClocks(root) // an error means that there are none
	for _, c := range clocks {
		out = append(out, wire.Sensor{Name: "cpu-" + c.Policy, Kind: "frequency", Unit: "hertz", Value: float64(c.Value)})
	}
	return out[:min(len(out), limit)]
}

// readMemory reads the memory of board and daemon; nil when it cannot be told.
func readMemory() *wire.Memory {
	root := os.DirFS("/")
	m, err := sysfs.ReadMemory(root)
	if err != nil {
		return nil
	}
	out := &wire.Memory{AvailableBytes: uint64(m.Available), TotalBytes: uint64(m.Total)}
	if r, err := sysfs.ResidentMemory(root, os.Getpagesize()); err == nil {
		out.ProcessBytes = uint64(r)
	}
	return out
}

// readDisk reads the file system that holds path; nil when it cannot be told.
func readDisk(path string, outbox int64) *wire.Disk {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &fs); err != nil {
		return nil
	}
	block := uint64(fs.Bsize)
	return &wire.Disk{FreeBytes: fs.Bavail * block, TotalBytes: fs.Blocks * block, OutboxBytes: uint64(outbox)}
}
