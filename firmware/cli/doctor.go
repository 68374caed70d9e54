package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"emberwing/boards"
	"emberwing/firmware/config"
	"emberwing/firmware/drone"
	"emberwing/firmware/engine"
	"emberwing/infer"
)

func doctorCommand(s Streams) *cobra.Command {
	var d doctor
	c := &cobra.Command{
		Use: "doctor", Short: "say what stops this machine from flying, with the fix", Args: cobra.NoArgs,
		Long: `doctor checks everything the daemon needs, in the order in which it needs it:
board, ONNX Runtime, models, and with --config also camera, broker and disk.

The exit code is 1 when something stops the flight.`,
		Example: "  emberwing doctor\n  emberwing doctor --config /etc/emberwing.toml --json",
		RunE:    func(c *cobra.Command, _ []string) error { return d.run(c.Context(), s) },
	}
	c.Flags().BoolVar(&d.json, "json", false, "print one JSON object a check")
	c.Flags().StringVar(&d.config, "config", "", "configuration file of the daemon")
	return c
}

type doctor struct {
	json   bool
	config string
}

// finding is the outcome of one check.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or fault
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// The states of a finding. A fault stops the flight.
const (
	good    = "ok"
	warning = "warning"
	fault   = "fault"
)

func (d *doctor) run(ctx context.Context, s Streams) error {
	cfg := config.Default()
	findings := []finding{}
	if d.config != "" {
		var err error
		if cfg, err = config.Load(d.config, os.Environ()); err != nil {
			findings = append(findings, finding{"configuration", fault, oneLine(err), "mend the file and run doctor again"})
			cfg = config.Default()
		}
	}
	findings = append(findings, checkBoard(), checkClock())
	findings = append(findings, checkInference(cfg)...)
	if d.config != "" && ctx.Err() == nil {
		findings = append(findings, checkCamera(ctx, cfg), checkBroker(ctx, cfg), checkDelivery(cfg), checkDisk(cfg))
	}
	return d.print(s, findings)
}

func (d *doctor) print(s Streams, findings []finding) error {
	faults := 0
	for _, f := range findings {
		if f.State == fault {
			faults++
		}
		if d.json {
			if err := emit(s.Out, f); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(s.Out, "%-8s %-14s %s\n", f.State, f.Check, f.Detail)
		if f.Fix != "" {
			fmt.Fprintf(s.Out, "%-8s %-14s → %s\n", "", "", f.Fix)
		}
	}
	if faults > 0 {
		fmt.Fprintf(s.Err, "%d of %d checks stop this machine from flying\n", faults, len(findings))
		return errReported
	}
	return nil
}

func checkBoard() finding {
	d, err := boards.Detect(os.DirFS("/"))
	f := finding{Check: "board", State: good, Detail: d.Board.Name}
	switch {
	case err != nil:
		f.State, f.Detail, f.Fix = warning, oneLine(err), "run as a user who may read the device tree"
	case !d.Known:
		f.Detail += ", not a board of the table: nothing is assumed about its GPU or header"
	case len(d.Warnings) > 0:
		f.State, f.Detail = warning, d.Warnings[0]
	}
	return f
}

func checkClock() finding {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil || t.Status&unix.STA_UNSYNC != 0 {
		return finding{"clock", warning, "no time daemon disciplines the clock; alerts say clock \"system\"", "enable systemd-timesyncd or chrony, or a GPS time source"}
	}
	return finding{"clock", good, "disciplined by a time daemon", ""}
}

// checkInference loads the library and opens each enabled model as the daemon
// would.
func checkInference(cfg config.Config) []finding {
	e, err := engine.New(cfg.Inference.Library)
	if err != nil {
		return []finding{{"onnxruntime", fault, oneLine(err), "run scripts/setup, or put libonnxruntime.so.1 into lib/ beside the program"}}
	}
	defer e.Close()
	rt := e.Runtime()
	findings := []finding{{"onnxruntime", good, fmt.Sprintf("%s at %s, providers %v", rt.Version(), rt.Path(), rt.Providers()), ""}}
	if cfg.Fire.Enabled {
		findings = append(findings, checkModel(e, "fire", cfg.Inference, cfg.Fire))
	}
	if cfg.Gesture.Enabled {
		findings = append(findings, checkModel(e, "gesture", cfg.Inference, cfg.Gesture))
	}
	return findings
}

func checkModel(e *engine.Engine, name string, in config.Inference, task config.Task) finding {
	f := finding{Check: "model " + name, State: good}
	_, session, err := e.Open(task.Model, drone.SessionOptions(in, task))
	if err != nil {
		f.State, f.Detail, f.Fix = fault, oneLine(err), "choose another precision or provider in ["+name+"] or [inference], or another model"
		return f
	}
	defer session.Close()
	if err := session.Run(0); err != nil {
		f.State, f.Detail = fault, oneLine(err)
		return f
	}
	start := time.Now()
	if err := session.Run(0); err != nil {
		f.State, f.Detail = fault, oneLine(err)
		return f
	}
	r := session.Report()
	f.Detail = fmt.Sprintf("%s on %s, one run of a blank picture took %.1f ms", r.Precision, r.Provider, milliseconds(time.Since(start)))
	if r.Fallback != "" {
		f.State, f.Detail, f.Fix = warning, f.Detail+"; asked for "+describeRequest(r)+": "+r.Fallback, "install the provider, or ask for what this machine has"
	}
	return f
}

func describeRequest(r infer.Report) string {
	return fmt.Sprintf("%s on %s", r.RequestedPrecision, r.RequestedProvider)
}

func checkCamera(ctx context.Context, cfg config.Config) finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := drone.ProbeCamera(ctx, cfg.Camera)
	if err != nil {
		return finding{"camera", fault, oneLine(err), "check [camera]: kind, source and the cable"}
	}
	return finding{"camera", good, info, ""}
}

func checkBroker(ctx context.Context, cfg config.Config) finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := drone.CheckBroker(cfg.MQTT); err != nil {
		return finding{"broker", fault, oneLine(err), "the daemon does not start; put the file there, or correct [mqtt]"}
	}
	if err := drone.ProbeBroker(ctx, cfg.MQTT); err != nil {
		return finding{"broker", warning, oneLine(err), "the drone flies and keeps its alerts; check [mqtt] broker and the link"}
	}
	return finding{"broker", good, cfg.MQTT.Broker + " answers", ""}
}

// checkDelivery says what the ack mode promises, and what it does not.
func checkDelivery(cfg config.Config) finding {
	switch {
	case cfg.MQTT.Ack == config.AckBroker:
		return finding{"delivery", warning, "mqtt.ack is broker: an alert is forgotten once the broker has it, which may lose it in a crash, and nobody may have read it",
			"run emberwing ground and set mqtt.ack to receipt"}
	case len(cfg.Commands.Keys) == 0:
		return finding{"delivery", warning, "receipts of any station count: no key is configured, so anybody on the broker can make alerts disappear",
			"put the line that emberwing ground prints into [commands] keys"}
	}
	return finding{"delivery", good, fmt.Sprintf("alerts stay until one of %d trusted station(s) has them on disk", len(cfg.Commands.Keys)), ""}
}

// lowDisk is the free space under which alerts and pictures are at risk.
const lowDisk = 256 * boards.MiB

func checkDisk(cfg config.Config) finding {
	dir := filepath.Dir(cfg.Outbox.Path)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return finding{"disk", fault, fmt.Sprintf("read free space of %s: %v", dir, err), "make the folder of [outbox] path"}
	}
	free := boards.Bytes(fs.Bavail * uint64(fs.Bsize))
	if free < lowDisk {
		return finding{"disk", fault, fmt.Sprintf("%v free in %s, want at least %v", free, dir, lowDisk), "free some space: alerts wait there"}
	}
	return finding{"disk", good, fmt.Sprintf("%v free in %s", free, dir), ""}
}
