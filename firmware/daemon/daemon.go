// Package daemon is the command line of emberwingd: it reads the configuration,
// flies, and ends cleanly.
package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"emberwing/firmware/config"
	"emberwing/firmware/drone"
	"emberwing/firmware/version"
)

// Exit codes. A wrong configuration is ExitUsage, so that a service manager can
// be told not to restart on it.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Run executes one command line, without the program's name, and returns the
// exit code. It returns within a second after ctx is done.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	code := ExitUsage
	c := &cobra.Command{
		Use:   "emberwingd --config FILE",
		Short: "the drone daemon: camera, inference, alerts",
		Long: `emberwingd flies: it reads frames from the configured camera, runs the fire and
gesture models, and publishes alerts, statistics and health over MQTT. Alerts
wait on disk while there is no link.

Each key of the file can also be set by the environment: mqtt.broker is
EMBERWING_MQTT_BROKER. Every key with its default is in
firmware/config/emberwing.toml.

Exit codes: 0 ended as asked, 1 failed, 2 wrong configuration.`,
		Example: "  emberwingd --config /etc/emberwing.toml\n  EMBERWING_MQTT_BROKER=tcp://10.0.0.2:1883 emberwingd --config drone.toml",
		Version: version.String(), Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
	}
	file := c.Flags().String("config", "", "configuration file (TOML); required")
	check := c.Flags().Bool("check", false, "read the configuration, say whether it is right, and end")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		code, err = run(c.Context(), *file, *check, stdout, stderr)
		return err
	}
	c.SetArgs(args)
	c.SetOut(stdout)
	c.SetErr(stderr)
	err := c.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return code
	}
	return ExitOK
}

func run(ctx context.Context, file string, check bool, stdout, stderr io.Writer) (int, error) {
	if file == "" {
		return ExitUsage, fmt.Errorf("got no configuration, want --config FILE (a sample is firmware/config/emberwing.toml)")
	}
	cfg, err := config.Load(file, os.Environ())
	if err != nil {
		return ExitUsage, err
	}
	if check {
		fmt.Fprintf(stdout, "%s: ok\n", file)
		return ExitOK, nil
	}
	d, err := drone.New(cfg, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return ExitFailed, err
	}
	err = d.Run(ctx)
	if closing := d.Close(); err == nil {
		err = closing
	}
	return ExitFailed, err
}
