package cli

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
)

func watchCommand(s Streams) *cobra.Command {
	var w watch
	c := &cobra.Command{
		Use: "watch --broker URL", Short: "follow the alert feed in a terminal", Args: cobra.NoArgs,
		Long: `watch prints alerts, status and changes of health as they arrive. It connects
again when the link breaks, and ends with exit code 1 when there is no
connection for longer than --lost-after.`,
		Example: "  emberwing watch --broker tcp://10.0.0.2:1883\n  emberwing watch --broker tcp://10.0.0.2:1883 --fleet north-ridge --json | jq .message.label",
		RunE:    func(c *cobra.Command, _ []string) error { return w.run(c, s) },
	}
	f := c.Flags()
	f.StringVar(&w.broker, "broker", "tcp://127.0.0.1:1883", "address of the MQTT broker")
	f.StringVar(&w.fleet, "fleet", "+", "fleet to follow; + is all")
	f.StringVar(&w.username, "username", "", "name that the broker asks for")
	f.StringVar(&w.passwordFile, "password-file", "", "file with the password that the broker asks for")
	f.DurationVar(&w.lostAfter, "lost-after", time.Minute, "give up after this long without a connection; 0 never")
	f.BoolVar(&w.json, "json", false, "print one JSON object a message")
	return c
}

type watch struct {
	broker, fleet, username, passwordFile string
	lostAfter                             time.Duration
	json                                  bool
}

func (w *watch) run(c *cobra.Command, s Streams) error {
	broker := mqtt.Broker{URL: w.broker, Username: w.username}
	if w.passwordFile != "" {
		secret, err := os.ReadFile(w.passwordFile)
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}
		broker.Password = strings.TrimRight(string(secret), "\r\n")
	}
	p := newPrinter(s.Out, w.json)
	r, err := ground.New(ground.Options{
		Broker: broker, Fleet: w.fleet, Handler: p, LostAfter: w.lostAfter,
		Log: slog.New(slog.NewTextHandler(s.Err, nil)),
	})
	if err != nil {
		return err
	}
	err = r.Run(c.Context())
	if err == nil {
		err = p.err
	}
	return err
}
