package drone

import (
	"fmt"
	"time"

	"emberwing/firmware/config"
	"emberwing/firmware/position"
	"emberwing/telemetry/wire"
)

// The simulated flight goes around the configured place.
const (
	simulatedRadius = 400 // metres
	simulatedPeriod = 5 * time.Minute
)

// openPosition opens the configured source of positions.
func openPosition(c config.Position, started time.Time) (position.Source, error) {
	here := wire.Position{Lat: c.Lat, Lon: c.Lon, AltM: c.AltM, UncertaintyM: c.UncertaintyM}
	switch c.Kind {
	case config.Fixed:
		return position.Fixed{Position: &here, Heading: &c.HeadingDeg}, nil
	case config.Simulated:
		return &position.Circle{Centre: here, RadiusM: simulatedRadius, Period: simulatedPeriod, Start: started}, nil
	case config.NoPosition:
		return position.Unknown(), nil
	}
	return nil, fmt.Errorf("open position: got kind %q, which this program cannot open", c.Kind)
}
