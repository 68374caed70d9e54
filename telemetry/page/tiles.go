package page

import (
	"errors"
	"io/fs"
	"net/http"
	"strconv"
)

func (p *Page) mapInfo() *MapInfo {
	if p.opts.Map == nil {
		return nil
	}
	info := p.opts.Map.Info()
	return &info
}

// serveTile serves one tile of the map.
func (p *Page) serveTile(w http.ResponseWriter, r *http.Request) {
	z, x, y, err := tileNumbers(r)
	if err != nil || p.opts.Map == nil {
		http.Error(w, "no such tile", http.StatusNotFound)
		return
	}
	body, contentType, encoding, err := p.opts.Map.Tile(z, x, y)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.WriteHeader(http.StatusNoContent)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "private, max-age=3600")
	if encoding != "" {
		w.Header().Set("Content-Encoding", encoding)
	}
	_, _ = w.Write(body) // a browser that left needs no tile
}

func tileNumbers(r *http.Request) (z, x, y int, err error) {
	z, errZ := strconv.Atoi(r.PathValue("z"))
	x, errX := strconv.Atoi(r.PathValue("x"))
	y, errY := strconv.Atoi(r.PathValue("y"))
	return z, x, y, errors.Join(errZ, errX, errY)
}
