package drone

import (
	"emberwing/boards"
	"emberwing/boards/gpio"
	"emberwing/firmware/config"
	"emberwing/firmware/health"
)

// indicator shows that an alert is active.
type indicator interface {
	Set(on bool) error
	Close() error
}

// openIndicator opens the configured output; nil without one.
func openIndicator(c config.Indicator) (indicator, error) {
	if c.Chip == "" {
		return nil, nil
	}
	out, err := gpio.Open(boards.Line{Chip: c.Chip, Offset: c.Line})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// indicate switches the indicator. Its failure never holds back an alert.
func (d *Drone) indicate(active bool) {
	if d.light == nil {
		return
	}
	d.health.Set(health.IndicatorFailed, health.Warning, d.light.Set(active))
}
