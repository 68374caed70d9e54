package boards

import "fmt"

// Bytes is an amount of memory.
type Bytes uint64

// Binary multiples of a byte.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

// String prints the amount with the largest binary unit that fits, e.g.
// "3.9 GiB".
func (b Bytes) String() string {
	switch {
	case b >= GiB:
		return fmt.Sprintf("%.1f GiB", float64(b)/float64(GiB))
	case b >= MiB:
		return fmt.Sprintf("%.1f MiB", float64(b)/float64(MiB))
	case b >= KiB:
		return fmt.Sprintf("%.1f KiB", float64(b)/float64(KiB))
	}
	return fmt.Sprintf("%d B", uint64(b))
}

// BytesPerSecond is a transfer rate; vendors quote decimal gigabytes.
type BytesPerSecond uint64

// MBPerSecond is 10^6 bytes per second.
const MBPerSecond BytesPerSecond = 1e6

// String prints the rate in decimal gigabytes per second, e.g. "25.6 GB/s".
func (r BytesPerSecond) String() string { return fmt.Sprintf("%.1f GB/s", float64(r)/1e9) }

// Hertz is a clock frequency.
type Hertz uint64

// Multiples of a hertz.
const (
	KHz Hertz = 1e3
	MHz Hertz = 1e6
)

// String prints the frequency in megahertz, e.g. "921.6 MHz".
func (h Hertz) String() string { return fmt.Sprintf("%g MHz", float64(h)/1e6) }

// MilliCelsius is a temperature in thousandths of a degree Celsius, the unit
// of the kernel's thermal zones.
type MilliCelsius int32

// String prints the temperature in degrees, e.g. "41.5 °C".
func (t MilliCelsius) String() string { return fmt.Sprintf("%.1f °C", float64(t)/1000) }

// MilliWatts is an electric power.
type MilliWatts int64

// Watt is 1000 milliwatts.
const Watt MilliWatts = 1000

// String prints the power in watts, e.g. "4.25 W".
func (p MilliWatts) String() string { return fmt.Sprintf("%.2f W", float64(p)/1000) }

// MilliVolts is an electric potential.
type MilliVolts int64

// MilliAmps is an electric current.
type MilliAmps int64

// Times gives the power of a current at this voltage, rounded toward zero.
func (v MilliVolts) Times(a MilliAmps) MilliWatts { return MilliWatts(int64(v) * int64(a) / 1000) }

// PerMille is a share in thousandths: 1000 is all of it.
type PerMille uint16

// String prints the share as a percentage, e.g. "63.5 %".
func (p PerMille) String() string { return fmt.Sprintf("%.1f %%", float64(p)/10) }
