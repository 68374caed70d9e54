package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"emberwing/telemetry/console"
	"emberwing/telemetry/follow"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// stationFlags are how a command reaches a station.
type stationFlags struct{ url, tokenFile, caFile, operator string }

func (f *stationFlags) flags(set *pflag.FlagSet) {
	set.StringVar(&f.url, "station", "", "address of the ground station, http://host:port")
	set.StringVar(&f.tokenFile, "token-file", "", "file with the token that the station asks for beyond loopback")
	set.StringVar(&f.caFile, "station-ca", "",
		"PEM file with the certificate of an https station, or of the authority that vouches for it; the system's by default")
	set.StringVar(&f.operator, "operator", "", "who acknowledges and commands (default: the user's name)")
}

func (f *stationFlags) follower(since string, lostAfter time.Duration) (*follow.Follower, error) {
	o := follow.Options{Station: f.url, Since: since, LostAfter: lostAfter}
	if f.tokenFile != "" {
		token, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		o.Token = strings.TrimSpace(string(token))
	}
	if f.caFile != "" {
		pool, err := readCertificates(f.caFile)
		if err != nil {
			return nil, err
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		o.Client = &http.Client{Transport: transport}
	}
	return follow.New(o)
}

// name of the operator.
func (f *stationFlags) name() string {
	if f.operator != "" {
		return f.operator
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}

// follow shows the feed of a station.
func (w *watch) follow(ctx context.Context, s Streams) error {
	since := w.since
	if since == "" {
		since = "now"
	}
	f, err := w.station.follower(since, w.lostAfter)
	if err != nil {
		return err
	}
	out, ok := s.Out.(*os.File)
	if ok && !w.json && !w.plain && term.IsTerminal(int(out.Fd())) {
		return w.interact(ctx, s, f)
	}
	return f.Run(ctx, &linePrinter{out: s.Out, err: s.Err, json: w.json})
}

// interact runs the screen. A feed that is lost ends it, and is the error.
func (w *watch) interact(ctx context.Context, s Streams, f *follow.Follower) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	acknowledge := func(ctx context.Context, event int64, v wire.Verdict) error {
		return f.Acknowledge(ctx, event, v, w.station.name(), "")
	}
	program := tea.NewProgram(console.New(ctx, acknowledge, time.Now), tea.WithContext(ctx), tea.WithInput(s.In),
		tea.WithOutput(s.Out))
	followed := make(chan error, 1)
	go func() {
		err := w.fill(ctx, f, program)
		followed <- err
		program.Quit()
	}()
	_, err := program.Run()
	cancel()
	if lost := <-followed; lost != nil {
		return lost
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// fill shows what there is, then what comes.
func (w *watch) fill(ctx context.Context, f *follow.Follower, program *tea.Program) error {
	if w.since == "" {
		cursor, events, err := f.Snapshot(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			program.Send(console.Row{Event: &events[i]})
		}
		f.From(cursor)
	}
	return f.Run(ctx, toScreen{program})
}

// toScreen hands the feed to the screen.
type toScreen struct{ program *tea.Program }

// Row implements follow.Handler.
func (t toScreen) Row(i follow.Item) error {
	if i.Entry.Event != nil && i.Entry.Event.Latest != nil {
		t.program.Send(console.Row{Event: i.Entry.Event})
	}
	return nil
}

// Up implements follow.Handler.
func (t toScreen) Up(station string, reset bool) {
	t.program.Send(console.Up{Station: station, Reset: reset})
}

// Down implements follow.Handler.
func (t toScreen) Down(err error) { t.program.Send(console.Down{Err: err}) }

// linePrinter prints one line a row.
type linePrinter struct {
	out, err io.Writer
	json     bool
}

// Row implements follow.Handler.
func (p *linePrinter) Row(i follow.Item) error {
	if p.json {
		return emit(p.out, struct {
			Cursor string          `json:"cursor"`
			Entry  json.RawMessage `json:"entry"`
		}{i.Cursor, i.JSON})
	}
	_, err := fmt.Fprintln(p.out, describeEntry(&i.Entry)+"  "+i.Cursor)
	return err
}

// Up implements follow.Handler.
func (p *linePrinter) Up(station string, reset bool) {
	fmt.Fprintf(p.err, "feed of station %s\n", station)
	if reset {
		fmt.Fprintln(p.err, "the cursor is of another store: everything comes from the beginning")
	}
}

// Down implements follow.Handler.
func (p *linePrinter) Down(err error) { fmt.Fprintf(p.err, "feed down: %v\n", err) }

func describeEntry(e *store.Entry) string {
	at := e.At.Local().Format(time.TimeOnly) + " "
	switch {
	case e.Alert != nil:
		return printable(at + e.Alert.Fleet + "/" + e.Alert.Drone + " " + describeAlert(e.Alert, 0))
	case e.Verdict != nil && e.Event != nil:
		return printable(fmt.Sprintf("%s%s/%s verdict %s by %s: %s", at, e.Event.Fleet, e.Event.Drone, e.Verdict.Verdict,
			e.Verdict.Operator, e.Event.Event))
	case e.Result != nil:
		return printable(fmt.Sprintf("%s%s/%s %s %s %s", at, e.Result.Fleet, e.Result.Drone, e.Result.Verb,
			e.Result.Outcome, e.Result.Text))
	}
	return at + string(e.Kind)
}

// printable keeps what came from outside on its line and from commanding a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}
