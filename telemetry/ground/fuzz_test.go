package ground_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/store"
	"emberwing/telemetry/telemetrytest"
)

// FuzzAPI: whatever is asked of the API, it answers, and never with a fault of its own.
func FuzzAPI(f *testing.F) {
	dir := f.TempDir()
	db, err := store.Open(filepath.Join(dir, "g.db"), store.Options{Log: telemetrytest.Quiet()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	key, err := ground.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		f.Fatal(err)
	}
	s, err := ground.NewStation(ground.StationOptions{Broker: mqtt.Broker{URL: "tcp://127.0.0.1:1"}, Name: "hill",
		Store: db, Key: key,
		Log: telemetrytest.Quiet()})
	if err != nil {
		f.Fatal(err)
	}
	api := s.API()
	f.Add("GET", "events?limit=1&text=%25&since=2026-01-01T00:00:00Z", "")
	f.Add("GET", "events/1/export?format=cap", "")
	f.Add("POST", "events/1/acknowledge", `{"verdict":"fire","operator":"ann"}`)
	f.Add("POST", "commands", `{"fleet":"f","drone":"d","verb":"mute","args":{"id":"x","seconds":0},"operator":"ann"}`)
	f.Add("POST", "commands", `{"fleet":"f","drone":"d","verb":"threshold","args":{"task":"fire","value":1e-400}}`)
	f.Add("GET", "commands/9223372036854775808", "")
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if path, _, _ := strings.Cut(path, "?"); strings.Contains(path, "feed") {
			return // it does not end
		}
		r, err := http.NewRequest(method, "http://127.0.0.1/api/v1/"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if api.ServeHTTP(w, r); w.Code >= 500 {
			t.Errorf("%s %q %q: got %d %s", method, path, body, w.Code, w.Body)
		}
	})
}

// FuzzParseCursor: what is taken for a cursor is written as it was read.
func FuzzParseCursor(f *testing.F) {
	for _, text := range []string{"", "0", "abc-1", "a-b-2", "a--1", "-1", "a-99999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ground.ParseCursor(text)
		if err != nil || c.Epoch == "" {
			return
		}
		if again, err := ground.ParseCursor(c.String()); err != nil || again != c {
			t.Errorf("%q: got %+v, then %+v, %v", text, c, again, err)
		}
	})
}
