package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

const token = "correct horse battery staple"

// ask sends a request to a page as curl would.
func ask(p http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8780"+target, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:5000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func login(p http.Handler, token string) *httptest.ResponseRecorder {
	form := url.Values{"token": {token}}.Encode()
	return ask(p, http.MethodPost, "/login", form, "Content-Type", "application/x-www-form-urlencoded")
}

func TestLogin(t *testing.T) {
	p := New(Options{Token: token})
	for _, target := range []string{"/", "/state", "/events", "/history", "/series", "/tracks", "/tiles/0/0/0",
		"/picture/1", "/thumb/x", "/pictures/a.jpg", "/assets/main.js", "/session"} {
		if w := ask(p, http.MethodGet, target,
			""); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s without a session: got %d", target, w.Code)
		}
	}
	if w := ask(p, http.MethodPost, "/acknowledge", "{}", "Content-Type",
		"application/json"); w.Code != http.StatusUnauthorized {
		t.Errorf("answer without a session: got %d", w.Code)
	}
	if w := ask(p, http.MethodGet, "/", "", "Accept",
		"text/html"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login" {
		t.Errorf("a person: got %d to %q, want the login", w.Code, w.Header().Get("Location"))
	}
	if w := ask(p, http.MethodGet, "/login", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<form") {
		t.Errorf("login page: got %d", w.Code)
	}
	if w := login(p, "wrong"); w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Header().Get("Location"),
		"wrong") {
		t.Errorf("a wrong token: got %v", w.Header())
	}
	cookie := login(p, token).Header().Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q has no %s", cookie, want)
		}
	}
	session, _, _ := strings.Cut(cookie, ";")
	again := New(Options{Token: token}) // the station was restarted
	other := New(Options{Token: "another token of some length"})
	for name, c := range map[string]struct {
		page   *Page
		header []string
		want   int
	}{
		"session":         {p, []string{"Cookie", session}, 200},
		"after a restart": {again, []string{"Cookie", session}, 200},
		"other token":     {other, []string{"Cookie", session}, 401},
		"forged":          {p, []string{"Cookie", session[:len(session)-4] + "AAAA"}, 401},
		"longer life":     {p, []string{"Cookie", strings.Replace(session, "=", "=9", 1)}, 401},
		"bearer":          {p, []string{"Authorization", "Bearer " + token}, 200},
		"wrong bearer":    {p, []string{"Authorization", "Bearer " + token + "x"}, 401},
	} {
		if w := ask(c.page, http.MethodGet, "/state", "", c.header...); w.Code != c.want {
			t.Errorf("%s: got %d, want %d", name, w.Code, c.want)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Token: token})
		session, _, _ := strings.Cut(login(p, token).Header().Get("Set-Cookie"), ";")
		time.Sleep(sessionLife - time.Second)
		if w := ask(p, http.MethodGet, "/state", "", "Cookie", session); w.Code != 200 {
			t.Errorf("just before its end: got %d", w.Code)
		}
		time.Sleep(2 * time.Second)
		if w := ask(p, http.MethodGet, "/state", "", "Cookie", session); w.Code != 401 {
			t.Errorf("after its end: got %d", w.Code)
		}
	})
}

func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Token: token})
		for range 10 {
			login(p, "guess")
		}
		if w := login(p, token); w.Code != http.StatusTooManyRequests {
			t.Errorf("eleventh login: got %d, want 429", w.Code)
		}
		if w := ask(p, http.MethodGet, "/state", "", "Authorization", "Bearer "+token); w.Code != http.StatusTooManyRequests {
			t.Errorf("a program after too many guesses: got %d, want 429", w.Code)
		}
		time.Sleep(1100 * time.Millisecond)
		if w := login(p, token); w.Header().Get("Set-Cookie") == "" {
			t.Errorf("a second later: got %d", w.Code)
		}
	})
}

func TestLimiterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, time.Second)
		from := func(i int) *http.Request {
			return &http.Request{RemoteAddr: fmt.Sprintf("[2001:db8:%x::1]:80", i)}
		}
		for i := range maxAddresses {
			l.take(from(i))
		}
		if !l.take(from(maxAddresses)) || l.take(from(maxAddresses+1)) {
			t.Error("addresses beyond the limit do not share one bucket")
		}
		if l.take(&http.Request{RemoteAddr: "[2001:db8:1::ffff]:80"}) {
			t.Error("another address of the same network got its own bucket")
		}
		time.Sleep(3 * time.Second)
		if l.take(from(5000)); len(l.buckets) > 2 {
			t.Errorf("%d buckets are kept although they are full again", len(l.buckets))
		}
	})
}

func TestOtherSitesAreRefused(t *testing.T) {
	p := New(Options{Answer: func(context.Context, Answer) (store.Event, error) { return store.Event{Row: 7}, nil }})
	body := `{"id":1,"verdict":"fire","operator":"Ada","note":""}`
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"same origin": {[]string{"Content-Type", "application/json", "Origin", "http://127.0.0.1:8780", "Sec-Fetch-Site",
			"same-origin"}, 200},
		"other origin":   {[]string{"Content-Type", "application/json", "Origin", "http://evil.example"}, 403},
		"other site":     {[]string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}, 403},
		"a form":         {[]string{"Content-Type", "text/plain"}, 400},
		"other port":     {[]string{"Content-Type", "application/json", "Origin", "http://127.0.0.1:9999"}, 403},
		"no browser":     {[]string{"Content-Type", "application/json"}, 200},
		"rebound name":   {[]string{"Content-Type", "application/json", "Host", "evil.example"}, 421},
		"type in detail": {[]string{"Content-Type", "application/json; charset=utf-8"}, 200},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8780/acknowledge", strings.NewReader(body))
		for i := 0; i < len(c.header); i += 2 {
			if r.Header.Set(c.header[i], c.header[i+1]); c.header[i] == "Host" {
				r.Host = c.header[i+1]
			}
		}
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	var got Answer
	var fate error
	p := New(Options{Answer: func(_ context.Context, a Answer) (store.Event, error) {
		got = a
		return storedEvent(1, 9),
			fate
	}})
	for body, want := range map[string]int{
		`{"id":1,"verdict":"cloud","operator":" Ada ","note":""}`:                        200,
		`{"id":1,"verdict":"fly","operator":"Ada"}`:                                      400,
		`{"id":0,"verdict":"fire"}`:                                                      400,
		`{"id":1,"verdict":"fire","admin":true}`:                                         400,
		`{"id":1,"verdict":"fire","note":"` + strings.Repeat("x", wire.MaxText+1) + `"}`: 400,
		`{"id":1,"verdict":"fire","note":"` + strings.Repeat("x", maxOrder) + `"}`:       400,
		``: 400,
	} {
		if w := ask(p, http.MethodPost, "/acknowledge", body, "Content-Type", "application/json"); w.Code != want {
			t.Errorf("%.60s: got %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
	ask(p, http.MethodPost, "/acknowledge", `{"id":1,"verdict":"cloud","operator":" Ada "}`, "Content-Type",
		"application/json")
	if got.Verdict != wire.VerdictCloud || got.Operator != "Ada" {
		t.Errorf("got %+v", got)
	}
	if e := eventsOf(t, p); len(e) != 1 || e[0].Answer == nil || e[0].Answer.Verdict != "cloud" {
		t.Errorf("the answer is not shown: %+v", e)
	}
	for _, c := range []struct {
		err  error
		want int
	}{{store.ErrNotFound, 404}, {errors.New("disk full"), 409}} {
		fate = fmt.Errorf("acknowledge: %w", c.err)
		w := ask(p, http.MethodPost, "/acknowledge", `{"id":1,"verdict":"cloud"}`, "Content-Type", "application/json")
		if w.Code != c.want || !strings.Contains(w.Body.String(), "error") {
			t.Errorf("%v: got %d %s", c.err, w.Code, w.Body)
		}
	}
	if w := ask(New(Options{}), http.MethodPost, "/acknowledge", `{}`, "Content-Type",
		"application/json"); w.Code != http.StatusNotImplemented {
		t.Errorf("without a store: got %d", w.Code)
	}
}

func eventsOf(t *testing.T, p *Page) []eventView {
	t.Helper()
	var s struct{ Events []eventView }
	if err := json.Unmarshal(ask(p, http.MethodGet, "/state", "").Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s.Events
}
