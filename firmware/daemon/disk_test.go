package daemon

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"emberwing/firmware/firmwaretest"
	"emberwing/telemetry/telemetrytest"
	"emberwing/telemetry/wire"
)

// What makes the disk of a daemon process fail, and where.
const (
	diskFault  = "EMBERTEST_DISK"
	diskDir    = "EMBERTEST_DISK_DIR"
	exitNoDisk = 97
)

// breakDisk prepares the disk below dir. Each SIGUSR1 then brings the next of its states:
// a good one, full, good again; or read-only, then good.
func breakDisk(fault, dir string) error {
	var steps []func() error
	var err error
	switch fault {
	case "":
		return nil
	case "full", "read-only":
		steps, err = mountDisk(fault, dir)
	case "full without mount":
		signal.Ignore(syscall.SIGXFSZ)
		limit := func(bytes uint64) func() error {
			return func() error {
				return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: math.MaxUint64})
			}
		}
		steps = []func() error{limit(16 << 10), limit(math.MaxUint64)}
	case "read-only without mount": // what is no directory cannot be written to, even by root
		err = errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		steps = []func() error{func() error { return os.Remove(dir) }}
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for _, step := range steps {
			<-asked
			fmt.Fprintln(os.Stderr, "disk changed:", step())
		}
	}()
	return err
}

// mountDisk gives this process a small file system of its own.
func mountDisk(fault, dir string) ([]func() error, error) {
	const size = "size=16m" // the alerts of the test fit in many times
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	filler := filepath.Join(dir, "filler")
	if fault == "full" {
		return []func() error{func() error { return fill(filler) }, func() error { return os.Remove(filler) }}, nil
	}
	err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, size)
	return []func() error{func() error { return syscall.Mount("", dir, "", syscall.MS_REMOUNT, size) }}, err
}

// fill writes until the disk takes nothing more.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// ownMounts lets the process mount what nobody else sees: root may, others as root of a
// user namespace.
func ownMounts(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: gid, Size: 1}}}
	}
}

// canMount tries it out in a process of its own: some containers forbid it.
func canMount(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "--help")
	cmd.Env = append(os.Environ(), asDaemon+"=1", diskFault+"=full", diskDir+"="+dir)
	ownMounts(cmd)
	return cmd.Run() == nil
}

// flyOnDisk flies without a broker on a disk with a fault.
func flyOnDisk(t *testing.T, fault, dir, text string) *flight {
	t.Helper()
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, filepath.Join(dir, "outbox.db"), filepath.Join(disk, "outbox.db"), 1)
	mount := canMount(t)
	if !mount {
		t.Log("no mounts here: a limit on files stands for a full disk, a file in the place of the folder for a read-only one")
		fault += " without mount"
	}
	return launchAs(t, dir, text, func(cmd *exec.Cmd) {
		if mount {
			ownMounts(cmd)
		}
		cmd.Env = append(cmd.Env, diskFault+"="+fault, diskDir+"="+disk)
	})
}

// change brings the next state of the disk.
func (f *flight) change() {
	f.t.Helper()
	done := strings.Count(f.text(), "disk changed: <nil>")
	if err := f.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		f.t.Fatal(err)
	}
	telemetrytest.Eventually(f.t, "the disk has changed", func() bool {
		return strings.Count(f.text(),
			"disk changed: <nil>") > done
	})
}

// more waits until the daemon has raised more alerts than it has now.
func (f *flight) more() {
	f.t.Helper()
	n := len(f.raised())
	telemetrytest.Eventually(f.t, "more alerts", func() bool { return len(f.raised()) >= n+3 })
}

// TestDiskTrouble: on a disk that is full, or was read-only from the start, the flight goes
// on and the alerts wait in memory; once the disk takes them again all is well, and every
// alert arrives once and in order.
func TestDiskTrouble(t *testing.T) {
	firmwaretest.NeedRuntime(t)
	for _, fault := range []string{"full", "read-only"} {
		t.Run(fault, func(t *testing.T) {
			broker := telemetrytest.NewMosquitto(t)
			broker.Kill()
			dir := t.TempDir()
			f := flyOnDisk(t, fault, dir, configFor(dir, broker.URL()))
			f.more()
			if fault == "full" {
				if strings.Contains(f.text(), "kept in memory only") {
					t.Fatal("the disk was bad from the start")
				}
				f.change()
			}
			telemetrytest.Eventually(t, "alerts in memory", func() bool {
				return strings.Count(f.text(),
					"kept in memory only") >= 3
			})
			f.change()
			f.more()
			before := strings.Count(f.text(), "kept in memory only")
			f.more()
			if after := strings.Count(f.text(), "kept in memory only"); after != before {
				t.Error("alerts are kept in memory only on a disk that is well again")
			}
			broker.Start()
			station := newStation(t, broker)
			want := f.raised()
			telemetrytest.Eventually(t, "every alert and the end of the alarm", func() bool {
				return len(alerts(station)) >= len(want) && alarmCameAndWent(station)
			})
			if got := alerts(station)[:len(want)]; strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// alarmCameAndWent reports whether health told of the disk, and later no more.
func alarmCameAndWent(s *telemetrytest.Station) bool {
	came, is := false, false
	for _, r := range s.Received() {
		if h, ok := r.Message.(*wire.Health); ok {
			is = strings.Contains(fmt.Sprint(h.Conditions), "outbox-degraded")
			came = came || is && h.State == wire.HealthAlarm
		}
	}
	return came && !is
}
