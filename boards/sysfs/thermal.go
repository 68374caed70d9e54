package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"emberwing/boards"
)

// off is what a Tegra zone reads when its part of the chip is powered down.
const off = -256_000

// Temperature is one thermal zone.
type Temperature struct {
	Zone string // "thermal_zone0"; the number means nothing across boards
	Type string // as the kernel says: "GPU-therm", "gpu-thermal"
	// Name is what the zone measures, in one spelling for all kernels:
	// "gpu", "cpu", "soc0", "tj".
	Name  string
	Value boards.MilliCelsius // meaningless if Err is set
	// Err is nil, or wraps ErrNoData or fs.ErrPermission.
	Err error
	// Trips are the zone's thresholds, hottest last.
	Trips []Trip
}

// Trip is a threshold of a zone and what the kernel does there.
type Trip struct {
	Type string // "passive" throttles, "critical" shuts down, "active" cools
	At   boards.MilliCelsius
}

// Constant says that the zone measures nothing: the PMIC's reads 50 or 100
// for ever, and thermal-fan-est is computed from others.
func (t Temperature) Constant() bool { return t.Name == "pmic" || t.Name == "thermal" }

// Temperatures reads every thermal zone, sorted by zone number. Zones without
// a reading are listed with their error. No zones at all is ErrAbsent.
func Temperatures(fsys fs.FS) ([]Temperature, error) {
	dirs, err := children(fsys, "sys/class/thermal", "thermal_zone")
	if err != nil {
		return nil, fmt.Errorf("list thermal zones: %w", err)
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("list thermal zones: %w", ErrAbsent)
	}
	slices.SortFunc(dirs, byNumber)
	out := make([]Temperature, len(dirs))
	for i, dir := range dirs {
		out[i] = zone(fsys, dir)
	}
	return out, nil
}

// byNumber sorts thermal_zone2 before thermal_zone10.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// zone reads one thermal zone.
func zone(fsys fs.FS, dir string) Temperature {
	t := Temperature{Zone: path.Base(dir)}
	if t.Type, t.Err = readText(fsys, path.Join(dir, "type")); t.Err != nil {
		return t
	}
	t.Name = zoneName(t.Type)
	t.Trips = trips(fsys, dir)
	milli, err := readInt(fsys, path.Join(dir, "temp"))
	switch {
	case errors.Is(err, ErrAbsent):
		t.Err = fmt.Errorf("%s: %w", t.Type, ErrNoData)
	case err != nil:
		t.Err = fmt.Errorf("%s: %w", t.Type, err)
	case milli == off:
		t.Err = fmt.Errorf("%s: %w: powered down", t.Type, ErrNoData)
	case milli < -100_000 || milli > 300_000:
		t.Err = fmt.Errorf("%s: %w: got %d thousandths of a degree", t.Type, ErrNoData, milli)
	default:
		t.Value = boards.MilliCelsius(milli)
	}
	return t
}

// zoneName is the part of a type before "-" or "_", in lower case.
func zoneName(typ string) string {
	name := strings.ToLower(typ)
	if i := strings.IndexAny(name, "-_"); i > 0 {
		name = name[:i]
	}
	return name
}

// trips reads the thresholds that can be read.
func trips(fsys fs.FS, dir string) []Trip {
	var out []Trip
	for i := range 16 {
		stem := path.Join(dir, fmt.Sprintf("trip_point_%d_", i))
		at, err := readInt(fsys, stem+"temp")
		if err != nil || at < -100_000 || at > 300_000 {
			continue
		}
		kind, err := readText(fsys, stem+"type")
		if err == nil {
			out = append(out, Trip{Type: kind, At: boards.MilliCelsius(at)})
		}
	}
	slices.SortStableFunc(out, func(a, b Trip) int { return int(a.At) - int(b.At) })
	return out
}

// Hottest returns the zone with the highest reading among those of that name
// ("" = all that measure something), and whether there is a reading.
func Hottest(zones []Temperature, name string) (Temperature, bool) {
	var best Temperature
	found := false
	for _, z := range zones {
		wanted := name == "" && !z.Constant() || name != "" && strings.EqualFold(z.Name, name)
		if wanted && z.Err == nil && (!found || z.Value > best.Value) {
			best, found = z, true
		}
	}
	return best, found
}
