package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"emberwing/telemetry/broker"
)

func brokerCommand(s Streams) *cobra.Command {
	var b brokerProgram
	c := &cobra.Command{
		Use: "broker", Short: "run the built-in MQTT broker by itself, or as one of a cluster", Args: cobra.NoArgs,
		Long: `broker runs the MQTT broker that ground runs when it is given none. Three of them
make a cluster in which any one may fail: name all three with --routes, and give
drones and stations their addresses with commas between.`,
		Example: `  emberwing broker --listen 0.0.0.0:1883 --store /var/lib/emberwing/broker --accounts accounts.txt
  emberwing broker --listen 10.0.0.1:1883 --store b1 --cluster one --cluster-listen 10.0.0.1:6222 \
      --routes 10.0.0.1:6222,10.0.0.2:6222,10.0.0.3:6222`,
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c.Context(), s) },
	}
	f := c.Flags()
	f.StringVar(&b.listen, "listen", "127.0.0.1:1883", "address for drones and stations")
	f.StringVar(&b.store, "store", "emberwing-broker", "folder for sessions and messages")
	f.StringVar(&b.accounts, "accounts", "",
		"file with those that may connect, one name:password a line; see ground --help")
	f.StringVar(&b.name, "cluster", "", "name of this broker in its cluster")
	f.StringVar(&b.clusterListen, "cluster-listen", "", "address for the other brokers")
	f.StringSliceVar(&b.routes, "routes", nil, "addresses of all brokers of the cluster")
	return c
}

type brokerProgram struct {
	listen, store, accounts string
	name, clusterListen     string
	routes                  []string
}

func (b *brokerProgram) run(ctx context.Context, s Streams) error {
	opts, err := brokerOptions(b.listen, b.store, b.accounts)
	if err != nil {
		return err
	}
	opts.Log = slog.New(slog.NewTextHandler(s.Err, nil))
	if b.name != "" {
		opts.Cluster = &broker.Cluster{Name: b.name, Listen: b.clusterListen, Routes: b.routes}
	} else if b.clusterListen != "" || len(b.routes) > 0 {
		return errors.New("--cluster-listen and --routes need --cluster, the name of this broker")
	}
	running, err := broker.Start(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "broker: %s\n", running.URL())
	<-ctx.Done()
	return running.Close()
}

// brokerOptions turns flags into options.
func brokerOptions(listen, store, accounts string) (o broker.Options, err error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return o, fmt.Errorf("address of the broker: %w", err)
	}
	o.Host, o.StoreDir = host, store
	if o.Port, err = strconv.Atoi(portText); err != nil {
		return o, fmt.Errorf("address of the broker: got port %q, want a number", portText)
	}
	if accounts == "" {
		return o, nil
	}
	f, err := os.Open(accounts)
	if err != nil {
		return o, fmt.Errorf("read accounts: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return o, fmt.Errorf("read accounts: others may read %s (mode %04o): chmod 600 it", accounts, info.Mode().Perm())
	}
	o.Accounts, err = broker.ReadAccounts(f)
	return o, err
}
