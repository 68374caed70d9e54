package page

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"emberwing/telemetry/store"
	"emberwing/telemetry/wire"
)

const historyPage = 50 // events sent at a time

// serveHistory searches the events, the newest first: text, task, answer ("no" for those
// that wait) and before, the value of next in the answer before.
func (p *Page) serveHistory(w http.ResponseWriter, r *http.Request) {
	q, err := historyQuery(r.URL.Query())
	if err != nil {
		sendError(w, http.StatusBadRequest, "before: want the next of an earlier answer")
		return
	}
	views, err := p.search(r.Context(), q)
	if err != nil {
		sendError(w, http.StatusInternalServerError, err.Error())
		return
	}
	var next *int64 // null at the end
	if len(views) > historyPage {
		views = views[:historyPage]
		next = &views[historyPage-1].ID
	}
	sendJSON(w, http.StatusOK, map[string]any{"events": views, "next": next})
}

func historyQuery(v url.Values) (q store.Query, err error) {
	q = store.Query{Task: wire.Task(v.Get("task")), Text: clip(v.Get("text"), wire.MaxName), Limit: historyPage + 1}
	if v.Get("answer") == "no" {
		q.Unacknowledged, q.Task = true, cmp.Or(q.Task, wire.TaskFire)
	}
	if before := v.Get("before"); before != "" {
		q.Before, err = strconv.ParseInt(before, 10, 64)
	}
	return q, err
}

// search asks the archive, or what is remembered when there is none.
func (p *Page) search(ctx context.Context, q store.Query) ([]*eventView, error) {
	if p.opts.Archive == nil {
		return p.remembered(q), nil
	}
	events, err := p.opts.Archive.Events(ctx, q)
	if err != nil {
		return nil, err
	}
	f := newFleet(len(events)+1, len(events)+1)
	for i := range events {
		f.stored(&events[i])
	}
	views := make([]*eventView, 0, len(events))
	for _, e := range f.events.ordered {
		views = append(views, &e.view)
	}
	return views, nil
}

// remembered searches the events in memory. They are few, so all come at once.
func (p *Page) remembered(q store.Query) []*eventView {
	p.mu.Lock()
	defer p.mu.Unlock()
	views := []*eventView{}
	for _, e := range slices.Backward(p.fleet.events.ordered) {
		v := e.view
		wanted := (q.Task == "" || v.Task == q.Task) && (!q.Unacknowledged || v.Answer == nil) && v.has(q.Text)
		if wanted && len(views) < historyPage {
			views = append(views, &v)
		}
	}
	return views
}

func (v *eventView) has(text string) bool {
	return strings.Contains(strings.ToLower(v.Drone+" "+v.Label+" "+v.Event), strings.ToLower(text))
}

func clip(s string, limit int) string { return s[:min(len(s), limit)] }
