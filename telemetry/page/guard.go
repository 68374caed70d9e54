package page

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// policy lets the page load its own files and nothing else. Trusted types make the
// browser refuse every assignment of text as HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// MinToken is the shortest token that a Page accepts, in bytes.
const MinToken = 16

// NewToken returns a random token of 128 bits.
func NewToken() string { return strings.ToLower(rand.Text()) }

const (
	sessionCookie = "emberwing_session"
	sessionLife   = 7 * 24 * time.Hour
)

// guard decides who may ask, before anything is looked up.
type guard struct {
	hosts    []string
	token    [sha256.Size]byte // hash of the token
	key      []byte            // signs sessions; made from the token, so sessions outlive a restart
	open     bool              // no token is asked for
	origin   *http.CrossOriginProtection
	failures *limiter // of logins
	orders   *limiter // of requests that change something
}

func newGuard(token string, hosts []string) *guard {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("emberwing page session 1"))
	return &guard{
		hosts: hosts, token: sha256.Sum256([]byte(token)), key: mac.Sum(nil), open: token == "",
		origin:   http.NewCrossOriginProtection(),
		failures: newLimiter(10, time.Second), orders: newLimiter(60, 100*time.Millisecond),
	}
}

// Guard puts the page's protection before another handler of the same server: names
// that a foreign site may have pointed here, requests that another site sends, too many
// orders, and, when the page has a token, everybody who has not logged in. Programs send
// the token as "Authorization: Bearer TOKEN".
func (p *Page) Guard(next http.Handler) http.Handler {
	g := p.guard
	checked := g.origin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead && !g.orders.take(r):
			tooMany(w)
		case r.URL.Path == "/login":
			g.serveLogin(w, r)
		case g.guessing(r):
			tooMany(w)
		case g.public(r.URL.Path) || g.knows(r):
			next.ServeHTTP(w, r)
		default:
			g.refuse(w, r)
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if !g.knownHost(r.Host) {
			http.Error(w, wrongHost, http.StatusMisdirectedRequest)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

const wrongHost = "this page is not served under that name: use its IP address, or name it with --page-host"

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// knownHost accepts IP addresses, localhost and the names of Options. A foreign site
// that points its own name at this machine could otherwise read the page.
func (g *guard) knownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost" || slices.Contains(g.hosts, host)
}

// public names what the login page itself needs.
func (g *guard) public(path string) bool {
	return path == "/assets/style.css" || path == "/assets/icon.svg"
}

// knows tells whether a request comes with the token or with a session made from it.
func (g *guard) knows(r *http.Request) bool {
	if g.open {
		return true
	}
	if token, ok := bearer(r); ok {
		return g.isToken(r, token)
	}
	c, err := r.Cookie(sessionCookie)
	return err == nil && g.validSession(c.Value, time.Now())
}

// guessing tells whether a request comes with a token from where too many were wrong. The answer
// says so: that the token is wrong would be untrue, and keep a program from trying again.
func (g *guard) guessing(r *http.Request) bool {
	_, ok := bearer(r)
	return ok && !g.open && !g.failures.allows(r)
}

// bearer returns the token that a program sends.
func bearer(r *http.Request) (token string, ok bool) {
	return strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// isToken compares in constant time and counts a failure.
func (g *guard) isToken(r *http.Request, token string) bool {
	sum := sha256.Sum256([]byte(token))
	ok := subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
	if !ok {
		g.failures.take(r)
	}
	return ok
}

// session returns "<unix seconds of its end>.<signature>".
func (g *guard) session(now time.Time) string {
	end := strconv.FormatInt(now.Add(sessionLife).Unix(), 10)
	return end + "." + g.sign(end)
}

func (g *guard) sign(text string) string {
	mac := hmac.New(sha256.New, g.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (g *guard) validSession(value string, now time.Time) bool {
	end, signature, _ := strings.Cut(value, ".")
	if !hmac.Equal([]byte(signature), []byte(g.sign(end))) {
		return false
	}
	seconds, err := strconv.ParseInt(end, 10, 64)
	return err == nil && now.Unix() < seconds
}

// refuse sends people to the login and tells programs what is missing.
func (g *guard) refuse(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="emberwing"`)
	http.Error(w, "log in at /login, or send Authorization: Bearer TOKEN", http.StatusUnauthorized)
}

// serveLogin shows the form and takes the token.
func (g *guard) serveLogin(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		asset("login.html").ServeHTTP(w, r)
	case http.MethodPost:
		g.login(w, r)
	default:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
	}
}

func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
	if !g.failures.allows(r) {
		tooMany(w)
		return
	}
	if token := strings.TrimSpace(r.PostFormValue("token")); !g.open && !g.isToken(r, token) {
		http.Redirect(w, r, "/login#wrong", http.StatusSeeOther)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: g.session(time.Now()), Path: "/", MaxAge: int(sessionLife.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

const maxOrder = 4096 // bytes of a request that changes something

func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "2")
	http.Error(w, "too many requests: wait a moment and try again", http.StatusTooManyRequests)
}

// checkToken refuses a token that can be guessed.
func checkToken(token string) error {
	if token != "" && len(token) < MinToken {
		return fmt.Errorf("make page: got a token of %d bytes, want at least %d", len(token), MinToken)
	}
	return nil
}

// etag names a body by its hash.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}
