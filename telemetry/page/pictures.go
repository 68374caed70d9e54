package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"emberwing/telemetry/wire"
)

// Where pictures come from, and the beginning of their addresses.
const (
	picturePrefix = "pictures/" // a file of the drone, where both share a disk
	archivePrefix = "picture/"  // the archive, by the number of the event
	thumbPrefix   = "thumb/"    // what came inside an alert, by the key of the event
	newestPrefix  = "snapshot/" // the newest of a drone that belongs to no event, by fleet and drone
)

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
	sendPicture(w, r, pictureType(ref), body)
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

// serveArchived serves the picture that the archive holds.
func (p *Page) serveArchived(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || p.opts.Archive == nil {
		http.Error(w, errPicture.Error(), http.StatusNotFound)
		return
	}
	body, info, err := p.opts.Archive.Picture(r.Context(), id)
	if err != nil || info.Type != "image/jpeg" && info.Type != "image/png" {
		http.Error(w, errPicture.Error(), http.StatusNotFound)
		return
	}
	sendPicture(w, r, info.Type, body)
}

// serveThumb serves the picture that came inside an alert.
func (p *Page) serveThumb(w http.ResponseWriter, r *http.Request) {
	body := p.thumb(r.PathValue("key"))
	if body == nil {
		http.Error(w, errPicture.Error(), http.StatusNotFound)
		return
	}
	sendPicture(w, r, "image/jpeg", body)
}

func (p *Page) thumb(key string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.fleet.events.byKey[key]; ok {
		return e.thumb
	}
	return nil
}

func sendPicture(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "private, max-age=300")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// pictureURL returns the relative address of a picture, "" when ref is not the plain
// name of a picture file.
func pictureURL(ref string) string {
	if pictureType(ref) == "" {
		return ""
	}
	return (&url.URL{Path: picturePrefix + ref}).EscapedPath()
}

// snapshotURL differs with each picture of a drone.
func snapshotURL(id string, m *wire.Picture) string {
	u := url.URL{Path: newestPrefix + id, RawQuery: fmt.Sprintf("v=%s-%d", m.Boot, m.Counter)}
	return u.String()
}

// pictureType returns the content type by the name of a file, "" when the name is none
// that may be served: only relative names without hidden or parent folders.
func pictureType(ref string) string {
	hidden := strings.HasPrefix(ref, ".") || strings.Contains(ref, "/.")
	if !fs.ValidPath(ref) || hidden || strings.ContainsAny(ref, "\\:") {
		return ""
	}
	switch strings.ToLower(path.Ext(ref)) {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	}
	return ""
}
