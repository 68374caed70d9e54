package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"

	"emberwing/telemetry/ground"
	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

// clerk is a Commander that notes what it gets.
type clerk struct {
	got  string
	fate error
}

func (c *clerk) Command(_ context.Context, fleet, drone string, verb wire.Verb, args json.RawMessage,
	operator string) (int64, error) {
	c.got = fmt.Sprintf("%s/%s %s %s by %s", fleet, drone, verb, args, operator)
	return 7, c.fate
}

func (c *clerk) Orders(_ context.Context, fleet, drone string, limit int) ([]store.Order, error) {
	return []store.Order{{ID: 7, Fleet: fleet, Drone: drone, Verb: "mute", Args: []byte(`{}`), State: store.OrderRefused,
		Text: "no"}}, c.fate
}

func TestCommandsOfThePage(t *testing.T) {
	c := new(clerk)
	p := New(Options{Commander: c})
	post := func(body string) int {
		return ask(p, http.MethodPost, "/command", body, "Content-Type", "application/json").Code
	}
	for body, want := range map[string]int{
		`{"fleet":"f","drone":"d","verb":"snapshot","args":{},"operator":" Ada "}`:    202,
		`{"fleet":"f","drone":"d","verb":"acknowledge","args":{}}`:                    400, // goes with its event
		`{"fleet":"f","drone":"d","verb":"land","args":{}}`:                           400,
		`{"fleet":"f","drone":"d","verb":"snapshot","args":{},"admin":true}`:          400,
		`{"fleet":"` + strings.Repeat("x", maxOrder) + `","drone":"d","verb":"mute"}`: 400,
		``: 400,
	} {
		c.got = ""
		if got := post(body); got != want || (want == 202) != (c.got == "f/d snapshot {} by Ada") {
			t.Errorf("%.60s: got %d and %q, want %d", body, got, c.got, want)
		}
	}
	if w := ask(p, http.MethodPost, "/command", "x=1", "Content-Type",
		"application/x-www-form-urlencoded"); w.Code != 400 {
		t.Errorf("a form: got %d", w.Code)
	}
	if w := ask(p, http.MethodGet, "/commands?fleet=f&drone=d", ""); w.Code != 200 || !strings.Contains(w.Body.String(),
		`"state":"refused","text":"no"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	good := `{"fleet":"f","drone":"d","verb":"mute","args":{}}`
	for fate, want := range map[error]int{fmt.Errorf("%w: bad", ground.ErrCommand): 400, errors.New("disk full"): 500} {
		if c.fate = fate; post(good) != want {
			t.Errorf("%v: want %d", fate, want)
		}
	}
	if w := ask(p, http.MethodGet, "/commands?fleet=f&drone=d", ""); w.Code != 500 {
		t.Errorf("got %d for a store that fails", w.Code)
	}
	bare := New(Options{})
	if w := ask(bare, http.MethodPost, "/command", good, "Content-Type",
		"application/json"); w.Code != http.StatusNotImplemented {
		t.Errorf("without a station: got %d", w.Code)
	}
}

// The newest picture that belongs to no event is shown with its drone, and one that
// belongs to an event is not.
func TestSnapshotOfADrone(t *testing.T) {
	p := New(Options{})
	var body bytes.Buffer
	if err := jpeg.Encode(&body, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	picture := &wire.Picture{Header: header(wire.KindPicture, "kite-7", boot1), Counter: 5, Width: 8, Height: 8,
		JPEG: body.Bytes()}
	if err := picture.Validate(); err != nil {
		t.Fatal(err)
	}
	if w := ask(p, http.MethodGet, "/snapshot/valley/kite-7", ""); w.Code != 404 {
		t.Errorf("before any: got %d", w.Code)
	}
	of := *picture
	of.Event = "e1"
	p.Handle(ground.Received{Message: &of, At: t0})
	if w := ask(p, http.MethodGet, "/snapshot/"+picture.Fleet+"/kite-7", ""); w.Code != 404 {
		t.Errorf("of an event: got %d", w.Code)
	}
	p.Handle(ground.Received{Message: picture, At: t0})
	var state struct{ Drones []droneView }
	if err := json.Unmarshal(ask(p, http.MethodGet, "/state", "").Body.Bytes(),
		&state); err != nil || state.Drones[0].Snapshot == nil {
		t.Fatalf("got %+v, %v", state, err)
	}
	w := ask(p, http.MethodGet, "/"+state.Drones[0].Snapshot.URL, "")
	if w.Code != 200 || w.Body.String() != string(picture.JPEG) || w.Header().Get("Content-Type") != "image/jpeg" {
		t.Errorf("%s: got %d, %d bytes", state.Drones[0].Snapshot.URL, w.Code, w.Body.Len())
	}
}
