package drone

import (
	"fmt"
	"time"

	"emberwing/firmware/config"
	"emberwing/firmware/position"
	"emberwing/firmware/position/mavlink"
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
	case config.MAVLink:
		s, err := mavlink.Open(mavlink.Options{Address: c.Source, UncertaintyM: c.UncertaintyM, MountDeg: c.HeadingDeg})
		if err != nil {
			return nil, fmt.Errorf("position.source: %w", err)
		}
		return s, nil
	}
	return position.Unknown(), nil
}
