package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"emberwing/telemetry/broker"
	"emberwing/telemetry/durable"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/page"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

func groundCommand(s Streams) *cobra.Command {
	var g groundStation
	c := &cobra.Command{
		Use: "ground", Short: "ground station: durable ingest, receipts, live page", Args: cobra.NoArgs,
		Long: `ground receives the alerts of a fleet. An alert is stored and synced to disk, then
the drone gets a receipt, and only then forgets it. Operators see it on the live
page, with watch, or through the API below /api/v1/; Prometheus finds /metrics.

Without --broker it runs an MQTT broker of its own. On first start it makes the
key that signs receipts and commands, and prints the line that belongs into the
configuration of the drones. Several stations may share one broker: each stores
and shows everything, and the first by name hands alerts on to other systems.

--accounts names who may connect to the built-in broker, one name:password a line
(the password may be its bcrypt hash): fleet/drone for a drone, which may then use
its own topics only; station for another ground station; any other name may read.

The store stays within --keep-days, --keep-picture-days and --store-limit-mb: beyond,
the oldest pictures and then the oldest events go, with their verdicts. An alert that
nobody has acknowledged is never removed.`,
		Example: "  emberwing ground\n" +
			"  emberwing ground --broker tcp://10.0.0.2:1883 --listen 127.0.0.1:8780 --store /var/lib/emberwing/ground.db",
		RunE: func(c *cobra.Command, _ []string) error { return g.run(c.Context(), s) },
	}
	f := c.Flags()
	f.StringVar(&g.link.url, "broker", "",
		"address of the MQTT broker, tcp://host:port or ssl://host:port; none runs the built-in one")
	f.StringVar(&g.mqttListen, "mqtt-listen", "127.0.0.1:1883", "address of the built-in broker")
	f.StringVar(&g.accounts, "accounts", "", "file with those that may connect to the built-in broker, one a line")
	g.web.flags(f)
	f.StringVar(&g.store, "store", "emberwing-ground.db", "file that keeps the alerts; made if there is none")
	f.StringVar(&g.keyFile, "key", "",
		"file with the key of this station; made if there is none (default: beside the store)")
	f.StringVar(&g.name, "name", "", "name of this station (default: the host's)")
	f.StringVar(&g.fleet, "fleet", "+", "fleet to receive; + is all")
	f.StringVar(&g.banner, "banner", "", "text on top of the live page, for example that this is an exercise")
	f.StringSliceVar(&g.trust, "trust", nil, "public key of another station whose verdicts count here; may be repeated")
	f.DurationVar(&g.expiry, "command-expiry", 10*time.Minute,
		"after which a drone refuses a command, verdicts apart, that it has not got")
	g.keep.flags(f)
	g.exports.flags(f)
	g.link.flags(f)
	return c
}

// groundStation are the flags of the command.
type groundStation struct {
	link                brokerFlags
	web                 web
	mqttListen          string
	accounts            string
	store, keyFile      string
	name, fleet, banner string
	trust               []string
	keep                keep
	expiry              time.Duration
	exports             exports
}

// keep are the limits of the store; 0 is none.
type keep struct{ days, pictureDays, megabytes int64 }

func (k *keep) flags(f *pflag.FlagSet) {
	f.Int64Var(&k.days, "keep-days", 400, "days after which an acknowledged event is removed; 0 never")
	f.Int64Var(&k.pictureDays, "keep-picture-days", 90, "days after which its picture is removed; 0 never")
	f.Int64Var(&k.megabytes, "store-limit-mb", 8192,
		"size of the store beyond which the oldest acknowledged events go; 0 none")
}

func (k *keep) limits() (store.Limits, error) {
	const most = 100 * 366 // days
	if min(k.days, k.pictureDays, k.megabytes) < 0 || max(k.days, k.pictureDays) > most || k.megabytes > 1<<40 {
		return store.Limits{},
			fmt.Errorf("limits of the store: got %d days, %d days and %d MB, want 0 to %d days and 0 or more MB",
				k.days, k.pictureDays, k.megabytes, most)
	}
	const day = 24 * time.Hour
	return store.Limits{Events: time.Duration(k.days) * day, Pictures: time.Duration(k.pictureDays) * day,
		Bytes: k.megabytes << 20}, nil
}

func (g *groundStation) run(ctx context.Context, s Streams) error {
	log := slog.New(slog.NewTextHandler(s.Err, nil))
	limits, err := g.keep.limits()
	if err != nil {
		return err
	}
	if err := g.exports.check(); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(g.store), 0o750); err != nil {
		return fmt.Errorf("make folder of the store: %w (choose another --store)", err)
	}
	key, trusted, err := g.keys()
	if err != nil {
		return err
	}
	if g.link.url == "" {
		b, err := g.startBroker(ctx, log)
		if err != nil {
			return err
		}
		defer b.Close()
		g.link.url = b.URL()
		fmt.Fprintf(s.Err, "broker: %s\n", b.URL())
	}
	link, err := g.link.broker()
	if err != nil {
		return err
	}
	db, err := store.Open(g.store, store.Options{Log: log})
	if err != nil {
		return err
	}
	defer db.Close()
	return g.serve(ctx, s, ground.StationOptions{
		Broker: link, Fleet: g.fleet, Name: g.stationName(), Store: db, Key: key, Trusted: trusted, Keep: limits,
		Expiry: g.expiry,
		Export: g.exports.options(), Log: log,
	})
}

// stationName makes an id of the host's name.
func (g *groundStation) stationName() string {
	if g.name != "" {
		return g.name
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "ground"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/+#$ ", r) {
			return '-'
		}
		return r
	}, host)
}

func (g *groundStation) keys() (key ed25519.PrivateKey, trusted []ed25519.PublicKey, err error) {
	path := g.keyFile
	if path == "" {
		path = g.store + ".key"
	}
	if key, err = ground.LoadKey(path); err != nil {
		return nil, nil, err
	}
	for _, text := range g.trust {
		k, err := wire.ParseKey(text)
		if err != nil {
			return nil, nil, fmt.Errorf("--trust: %w", err)
		}
		trusted = append(trusted, k)
	}
	return key, trusted, nil
}

const ownAccount = "station-built-in"

func (g *groundStation) startBroker(ctx context.Context, log *slog.Logger) (*broker.Broker, error) {
	opts, err := brokerOptions(g.mqttListen, filepath.Clean(g.store)+".broker", g.accounts)
	if err != nil {
		return nil, err
	}
	opts.Log = log
	if len(opts.Accounts) > 0 { // the station gets in by a password that nobody else knows
		password := rand.Text()
		opts.Accounts = append(opts.Accounts, broker.Account{Name: ownAccount, Password: password, Role: broker.RoleStation})
		g.link.username, g.link.password = ownAccount, password
	}
	b, err := broker.Start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("%w (another broker may be running: name it with --broker, or choose another --mqtt-listen)",
			err)
	}
	return b, nil
}

// serve runs the station and its page until ctx ends.
func (g *groundStation) serve(ctx context.Context, s Streams, opts ground.StationOptions) error {
	pageOptions, closeMap, err := g.web.options(s.Err)
	if err != nil {
		return err
	}
	defer closeMap()
	pageOptions.Banner = g.banner
	var join stationPage
	p := page.New(join.options(pageOptions, opts.Store))
	if err := p.Load(ctx); err != nil {
		return err
	}
	opts.Handler = p
	if join.station, err = ground.NewStation(opts); err != nil {
		return err
	}
	address, stop, err := g.web.serve(p.Guard(stationMux(join.station, p)))
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "live page: %s\nstore: %s\n"+
		"station %s; for the configuration of the drones:\n[commands]\nkeys = [%q]\n",
		address, g.store, join.station.Name(), join.station.PublicKey())
	waitExports, err := g.exports.start(ctx, join.station, opts.Log)
	if err != nil {
		stop()
		return err
	}
	err = join.station.Run(ctx)
	waitExports()
	p.Close()
	stop()
	return err
}

func stationMux(station *ground.Station, p *page.Page) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/api/", station.API())
	mux.Handle("/metrics", station.API())
	mux.Handle("/", p)
	return mux
}

// brokerFlags are how a command reaches a broker.
type brokerFlags struct{ url, username, password, passwordFile, caFile, certFile, certKey string }

// flags adds all but the address, whose default differs.
func (b *brokerFlags) flags(f flagSet) {
	f.StringVar(&b.username, "username", "", "name that the broker asks for")
	f.StringVar(&b.passwordFile, "password-file", "", "file with the password that the broker asks for")
	f.StringVar(&b.caFile, "ca-file", "",
		"PEM file with the authorities that may vouch for the broker; the system's by default")
	f.StringVar(&b.certFile, "cert-file", "", "PEM file with the certificate to show to the broker")
	f.StringVar(&b.certKey, "cert-key", "", "PEM file with the key of --cert-file")
}

// flagSet is the part of pflag.FlagSet that is used.
type flagSet interface {
	StringVar(p *string, name, value, usage string)
}

func (b *brokerFlags) broker() (mqtt.Broker, error) {
	out := mqtt.Broker{URL: b.url, Username: b.username, Password: b.password}
	if b.passwordFile != "" {
		secret, err := os.ReadFile(b.passwordFile)
		if err != nil {
			return out, fmt.Errorf("read password: %w", err)
		}
		out.Password = strings.TrimRight(string(secret), "\r\n")
	}
	files := mqtt.Certificates{CA: b.caFile, Cert: b.certFile, Key: b.certKey}
	if err := files.Check(); err != nil {
		return out, err
	}
	if b.caFile+b.certFile+b.certKey != "" && !out.Secure() {
		return out, fmt.Errorf("--ca-file, --cert-file and --cert-key are for a broker at ssl://, got an address without TLS")
	}
	out.Certificates = &files
	return out, nil
}
