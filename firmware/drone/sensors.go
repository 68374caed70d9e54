package drone

import (
	"os"

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
		if z.Err == nil && !z.Constant() && len(out) < wire.MaxList/2 {
			out = append(out, wire.Sensor{Name: z.Type, Kind: "temperature", Unit: "celsius", Value: float64(z.Value) / 1000})
		}
	}
	rails, _ := sysfs.Rails(root)
	for _, r := range rails {
		if r.Err == nil && len(out) < wire.MaxList-1 {
			out = append(out, wire.Sensor{Name: r.Label, Kind: "power", Unit: "watt", Value: float64(r.Power) / 1000})
		}
	}
	if m, err := sysfs.ReadMemory(root); err == nil {
		out = append(out, wire.Sensor{Name: "memory-available", Kind: "memory", Unit: "byte", Value: float64(m.Available)})
	}
	return out
}
