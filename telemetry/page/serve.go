package page

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"emberwing/telemetry/wire"
)

//go:embed assets
var assets embed.FS

func (p *Page) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", asset("index.html"))
	for _, name := range assetNames() {
		mux.Handle("GET /assets/"+name, asset(name))
	}
	mux.HandleFunc("GET /events", p.serveEvents)
	mux.HandleFunc("GET /state", p.serveState)
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /history", p.serveHistory)
	mux.HandleFunc("GET /series", p.serveSeries)
	mux.HandleFunc("GET /tracks", p.serveTracks)
	mux.HandleFunc("GET /tiles/{z}/{x}/{y}", p.serveTile)
	mux.HandleFunc("GET /"+picturePrefix+"{ref...}", p.servePicture)
	mux.HandleFunc("GET /"+archivePrefix+"{id}", p.serveArchived)
	mux.HandleFunc("GET /"+thumbPrefix+"{key...}", p.serveThumb)
	mux.HandleFunc("GET /"+newestPrefix+"{fleet}/{drone}", p.serveSnapshot)
	mux.HandleFunc("POST /acknowledge", p.serveAnswer)
	mux.HandleFunc("POST /command", p.serveCommand)
	mux.HandleFunc("GET /commands", p.serveOrders)
	return mux
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// assetNames lists the embedded files, relative to the folder assets.
func assetNames() (names []string) {
	// Embedded at build time, so it cannot fail; a test asks for each.
	_ = fs.WalkDir(assets, "assets", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(name, "assets/"))
		}
		return err
	})
	return names
}

// asset serves one embedded file, which browsers revalidate by its hash.
func asset(name string) http.Handler {
	body, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return http.NotFoundHandler()
	}
	kinds := map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	tag := etag(body)
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
