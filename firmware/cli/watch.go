package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"emberwing/telemetry/ground"
)

func watchCommand(s Streams) *cobra.Command {
	var w watch
	c := &cobra.Command{
		Use: "watch [--station URL | --broker URL]", Short: "follow the alert feed in a terminal", Args: cobra.NoArgs,
		Long: `watch shows alerts as they arrive. It connects again when the link breaks, and
ends with exit code 1 when there is no connection for longer than --lost-after.

With --station it follows the feed of a ground station (emberwing ground), in which
nothing is lost or repeated: in a terminal with filter, detail and acknowledgement,
elsewhere one line an alert, or JSON, each with a cursor that --since goes on from.
Without it watch listens to the broker itself, and sees what comes by.`,
		Example: `  emberwing watch --station http://127.0.0.1:8780 --operator ann
  emberwing watch --station http://127.0.0.1:8780 --json --since 62ea093d48c20c12-41 | jq .entry.alert.label
  emberwing watch --broker tcp://10.0.0.2:1883 --fleet north-ridge --json | jq .message.label`,
		RunE: func(c *cobra.Command, _ []string) error { return w.run(c, s) },
	}
	f := c.Flags()
	f.StringVar(&w.link.url, "broker", "tcp://127.0.0.1:1883", "address of the MQTT broker")
	f.StringVar(&w.fleet, "fleet", "+", "fleet to follow at the broker; + is all")
	w.link.flags(f)
	w.station.flags(f)
	f.StringVar(&w.since, "since", "", "cursor to go on from at the station; 0 is the beginning (default: now)")
	f.DurationVar(&w.lostAfter, "lost-after", time.Minute, "give up after this long without a connection; 0 never")
	f.BoolVar(&w.json, "json", false, "print one JSON object a message")
	f.BoolVar(&w.plain, "plain", false, "print lines in a terminal, too")
	return c
}

type watch struct {
	link        brokerFlags
	station     stationFlags
	fleet       string
	since       string
	lostAfter   time.Duration
	json, plain bool
}

func (w *watch) run(c *cobra.Command, s Streams) error {
	if w.station.url != "" {
		return w.follow(c.Context(), s)
	}
	if w.since != "" {
		return fmt.Errorf("--since needs --station: a broker remembers no feed")
	}
	broker, err := w.link.broker()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	p := newPrinter(s.Out, w.json)
	p.broken = stop // a feed that nobody can read is lost
	r, err := ground.New(ground.Options{
		Broker: broker, Fleet: w.fleet, Handler: p, LostAfter: w.lostAfter,
		Log: slog.New(slog.NewTextHandler(s.Err, nil)),
	})
	if err != nil {
		return err
	}
	err = r.Run(ctx)
	if err == nil && p.err != nil {
		err = fmt.Errorf("feed not taken: %w", p.err)
	}
	return err
}
