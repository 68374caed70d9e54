package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"emberwing/firmware/version"
	"emberwing/telemetry/ground"
	"emberwing/telemetry/page"
	"emberwing/telemetry/pmtiles"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// web are the flags of a command that serves the live page.
type web struct {
	listen    string
	tokenFile string
	hosts     []string
	certFile  string
	keyFile   string
	mapFile   string
}

func (w *web) flags(f *pflag.FlagSet) {
	f.StringVar(&w.listen, "listen", "127.0.0.1:8780", "address of the live page; beyond loopback it asks for a token")
	f.StringVar(&w.tokenFile, "token-file", "",
		"file with the token to log in with; made if there is none (default: a new token at each start, beyond loopback)")
	f.StringSliceVar(&w.hosts, "page-host", nil, "DNS name under which the page is asked for; may be repeated")
	f.StringVar(&w.certFile, "page-cert", "", "PEM file with the certificate of the page, which is then served by HTTPS")
	f.StringVar(&w.keyFile, "page-key", "", "PEM file with the key of --page-cert")
	f.StringVar(&w.mapFile, "map", "", "PMTiles file to draw below the map, vector or raster; it works without")
}

// options makes those of the page that the flags decide. stop closes what they opened.
func (w *web) options(out io.Writer) (opts page.Options, stop func(), err error) {
	opts, stop = page.Options{Software: "emberwing " + version.String(), Hosts: w.hosts}, func() {}
	if opts.Token, err = w.token(out); err != nil {
		return opts, stop, err
	}
	if w.mapFile != "" {
		tiles, err := pmtiles.Open(w.mapFile)
		if err != nil {
			return opts, stop, err
		}
		opts.Map, stop = tileMap{tiles}, func() { tiles.Close() }
	}
	return opts, stop, nil
}

// token returns what operators log in with, "" when only this machine can reach the page.
func (w *web) token(out io.Writer) (string, error) {
	if w.tokenFile != "" {
		return readToken(w.tokenFile)
	}
	to, err := net.ResolveTCPAddr("tcp", w.listen)
	if err != nil {
		return "", fmt.Errorf("--listen: %w", err)
	}
	if to.IP.IsLoopback() {
		return "", nil
	}
	token := page.NewToken()
	fmt.Fprintf(out, "token of the live page: %s (until the next start; --token-file keeps one)\n", token)
	return token, nil
}

// readToken reads the token in a file, or makes one that its owner alone can read.
func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		token := page.NewToken()
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("make token: %w", err)
		}
		return token, nil
	}
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if len(token) < page.MinToken {
		return "", fmt.Errorf("read token: %s holds %d characters, want %d or more; remove it to get a new one", path,
			len(token), page.MinToken)
	}
	return token, nil
}

// serve serves h until stop is called.
func (w *web) serve(h http.Handler) (url string, stop func(), err error) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10}
	scheme := "http"
	if w.certFile != "" || w.keyFile != "" {
		cert, err := tls.LoadX509KeyPair(w.certFile, w.keyFile)
		if err != nil {
			return "", nil, fmt.Errorf("serve page: --page-cert and --page-key: %w", err)
		}
		scheme, server.TLSConfig = "https", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", w.listen)
	if err != nil {
		return "", nil, fmt.Errorf("serve page: %w (choose another --listen)", err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if server.TLSConfig != nil {
			_ = server.ServeTLS(l, "", "") // ends with ErrServerClosed
		} else {
			_ = server.Serve(l)
		}
	}()
	return scheme + "://" + l.Addr().String(), func() { shutDown(server, served) }, nil
}

// shutDown gives requests a second to end.
func shutDown(server *http.Server, served <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(ctx) // what it does not end, Close does
	_ = server.Close()
	<-served
}

// stationPage joins a page to the station that feeds it. The station is made with the
// page as its handler, hence the pointer that is set later.
type stationPage struct{ station *ground.Station }

// options adds what comes from the station and its store.
func (s *stationPage) options(opts page.Options, db *store.Store) page.Options {
	opts.Archive, opts.Answer, opts.Station, opts.Commander = db, s.answer, s.condition, s
	return opts
}

// Command implements page.Commander.
func (s *stationPage) Command(ctx context.Context, fleet, drone string, verb wire.Verb, args json.RawMessage,
	operator string) (int64, error) {
	return s.station.Command(ctx, fleet, drone, verb, args, cmp.Or(operator, "operator"))
}

// Orders implements page.Commander.
func (s *stationPage) Orders(ctx context.Context, fleet, drone string, limit int) ([]store.Order, error) {
	return s.station.Store().Orders(ctx, fleet, drone, limit)
}

func (s *stationPage) answer(ctx context.Context, a page.Answer) (store.Event, error) {
	return s.station.Acknowledge(ctx, ground.Acknowledgement{
		Event: a.Event, Verdict: a.Verdict, Note: a.Note, Operator: cmp.Or(a.Operator, "operator"), Replace: a.Replace,
	})
}

func (s *stationPage) condition() page.Condition {
	n := s.station.Count()
	return page.Condition{
		Connected: s.station.Stats().Connected, Alarms: s.station.Alarms(), Drones: n.Known, Offline: n.Offline,
		Silent: n.Silent,
	}
}

// tileMap shows a PMTiles file to the page.
type tileMap struct{ *pmtiles.File }

// Info implements page.Map.
func (m tileMap) Info() page.MapInfo {
	kind := "raster"
	if m.Vector() {
		kind = "vector"
	}
	return page.MapInfo{Kind: kind, Min: m.MinZoom, Max: m.MaxZoom, Credit: m.Attribution}
}

// Tile implements page.Map.
func (m tileMap) Tile(z, x, y int) (body []byte, contentType, encoding string, err error) {
	body, err = m.File.Tile(z, x, y)
	if m.TileCompression == pmtiles.Gzip {
		encoding = "gzip"
	}
	return body, m.Type, encoding, err
}
