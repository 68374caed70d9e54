package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"emberwing/telemetry/wire"
)

//go:embed assets
var assets embed.FS

// policy lets the page load its own files and nothing else. Trusted types make the
// browser refuse every assignment of text as HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func (p *Page) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", asset("index.html"))
	entries, _ := assets.ReadDir("assets") // embedded at build time; a test asks for each
	for _, e := range entries {
		mux.Handle("GET /assets/"+e.Name(), asset(e.Name()))
	}
	mux.HandleFunc("GET /events", p.serveEvents)
	mux.HandleFunc("GET /state", p.serveState)
	mux.HandleFunc("GET /"+picturePrefix+"{ref...}", p.servePicture)
	return mux
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if !p.knownHost(r.Host) {
		http.Error(w, "this page is not served under that name: use its IP address, or list the name in its hosts", http.StatusMisdirectedRequest)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// knownHost accepts IP addresses, localhost and the names of Options. A foreign site
// that points its own name at this machine could otherwise read the page.
func (p *Page) knownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost" || slices.Contains(p.opts.Hosts, host)
}

// asset serves one embedded file, which browsers revalidate by its hash.
func asset(name string) http.Handler {
	body, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return http.NotFoundHandler()
	}
	kinds := map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kinds[path.Ext(name)])
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	})
}

// serveState returns the whole state as one JSON object, for programs and for tests.
func (p *Page) serveState(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(p.state(), '\n')) // a browser that left needs no answer
}

func (p *Page) state() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.fleet.board
	return encode(struct {
		Now      wire.Time `json:"now"`
		Software string    `json:"software"`
		Banner   string    `json:"banner"`
		Drones   []any     `json:"drones"`
		Health   []any     `json:"health"`
		Stats    []any     `json:"stats"`
		Events   []any     `json:"events"`
	}{wire.At(time.Now()), p.opts.Software, p.opts.Banner,
		b.values(kindDrone), b.values(kindHealth), b.values(kindStats), b.values(kindEvent)})
}

const maxPicture = 16 << 20 // bytes

var errPicture = errors.New("no such picture")

// servePicture serves a snapshot that a remembered event shows. The file must have the
// hash that its alert gave, if it gave one.
func (p *Page) servePicture(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("ref")
	body, err := p.readPicture(ref)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", pictureType(ref))
	w.Header().Set("Cache-Control", "private, max-age=300")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// readPicture never tells in an error what else there is in the folder.
func (p *Page) readPicture(ref string) ([]byte, error) {
	p.mu.Lock()
	known, ok := p.fleet.picture(ref)
	p.mu.Unlock()
	if !ok || p.opts.Pictures == nil || pictureType(ref) == "" {
		return nil, errPicture
	}
	body, err := readRegular(p.opts.Pictures, ref)
	if err != nil {
		return nil, errPicture
	}
	if sum := sha256.Sum256(body); known.sha256 != "" && hex.EncodeToString(sum[:]) != known.sha256 {
		return nil, fmt.Errorf("%w: the file is not the one that the alert describes", errPicture)
	}
	return body, nil
}

// readRegular reads a file of at most maxPicture bytes. It looks before it opens, since
// opening a pipe would wait.
func readRegular(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPicture {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", name, maxPicture)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPicture))
}
