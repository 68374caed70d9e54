package gpio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emberwing/boards"
	"emberwing/boards/boardstest"
)

// sysfs makes the files that a Nano's kernel shows, with line 79 exported:
// ordinary files do not create a line's directory when export is written.
func sysfs(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"export": "", "unexport": "", "gpiochip0/label": "tegra-gpio\n", "gpiochip0/base": "0\n", "gpiochip0/ngpio": "256\n",
		"gpiochip504/label": "max77620-gpio\n", "gpiochip504/base": "504\n", "gpiochip504/ngpio": "8\n",
		"gpio79/direction": "in\n", "gpio79/value": "1",
	} {
		write(t, filepath.Join(root, path), text)
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLegacyKeepsContract(t *testing.T) {
	boardstest.TestOutput(t, func(t *testing.T) (boards.StatusOutput, func() bool) {
		root := sysfs(t)
		out, err := open(boards.Line{Chip: "tegra-gpio", Offset: 79}, legacy{root})
		if err != nil {
			t.Fatal(err)
		}
		return out, func() bool { return content(t, filepath.Join(root, "gpio79/value")) == "1" }
	})
}

func TestLegacyDirectionAndRelease(t *testing.T) {
	root := sysfs(t)
	out, err := open(boards.Line{Chip: "tegra-gpio", Offset: 79}, legacy{root})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(root, "gpio79/direction")); !strings.HasPrefix(got, "low") {
		t.Errorf("direction: got %q, want low", got)
	}
	if err := out.Close(); err != nil || content(t, filepath.Join(root, "unexport")) != "79" {
		t.Errorf("got %v and unexport %q, want 79", err, content(t, filepath.Join(root, "unexport")))
	}
}

func TestLegacyExportsOtherChipsByTheirBase(t *testing.T) {
	root := sysfs(t)
	_, err := open(boards.Line{Chip: "max77620-gpio", Offset: 3}, legacy{root})
	if !errors.Is(err, fs.ErrNotExist) { // the directory an ordinary file cannot make
		t.Errorf("got %v", err)
	}
	if got := content(t, filepath.Join(root, "export")); got != "507" {
		t.Errorf("export: got %q, want 507", got)
	}
}

func TestLegacyFaults(t *testing.T) {
	for path, text := range map[string]string{
		"gpiochip0/base": "none", "gpiochip0/ngpio": "99999999", "gpiochip504/base": "-1",
	} {
		root := sysfs(t)
		write(t, filepath.Join(root, path), text)
		if _, err := (legacy{root}).chips(); err == nil {
			t.Errorf("%s = %q was taken", path, text)
		}
	}
	root := sysfs(t)
	if err := os.Remove(filepath.Join(root, "export")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(boards.Line{Chip: "tegra-gpio", Offset: 1}, legacy{root}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without export: got %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "export")); err == nil {
		t.Error("a control file was created")
	}
}
