package health

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConditionKeepsItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTracker()
		start := time.Now()
		tr.Raise(SourceStalled, Warning, "no frame for 2s")
		time.Sleep(3 * time.Second)
		tr.Raise(SourceStalled, Alarm, "no frame for 5s")
		worst, got := tr.Conditions()
		want := []Condition{{SourceStalled, Alarm, "no frame for 5s", start}}
		if diff := cmp.Diff(want, got); diff != "" || worst != Alarm {
			t.Errorf("worst %v (-want +got):\n%s", worst, diff)
		}
	})
}

func TestChangedTellsOfBeginningAndEnd(t *testing.T) {
	tr := NewTracker()
	told := func() bool {
		select {
		case <-tr.Changed():
			return true
		default:
			return false
		}
	}
	steps := []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing yet", func() {}, false},
		{"first raise", func() { tr.Raise(LinkDown, Warning, "a") }, true},
		{"same again", func() { tr.Raise(LinkDown, Warning, "a") }, false},
		{"clear another", func() { tr.Clear(SourceEnded) }, false},
		{"clear", func() { tr.Set(LinkDown, Warning, nil) }, true},
		{"set", func() { tr.Set(Fallback.For("fire"), Alarm, errors.New("no TensorRT")) }, true},
	}
	for _, s := range steps {
		s.do()
		if got := told(); got != s.want {
			t.Errorf("%s: got told=%v, want %v", s.name, got, s.want)
		}
	}
}

func TestWorstSeverityWins(t *testing.T) {
	tr := NewTracker()
	if worst, list := tr.Conditions(); worst != OK || len(list) != 0 {
		t.Errorf("got %v, %v before anything happened", worst, list)
	}
	tr.Raise(LinkDown, Warning, "x")
	tr.Raise(BulkDropped, Info, "y")
	if worst, list := tr.Conditions(); worst != Warning || len(list) != 2 || list[0].Code != LinkDown {
		t.Errorf("got %v, %v, want warning and both, sorted", worst, list)
	}
}

func TestWatchdogIsFedByProgressOnly(t *testing.T) {
	var frames, decisions atomic.Uint64
	w := NewWatchdog(map[string]Progress{"capture": &frames, "decide": &decisions})
	frames.Add(1)
	if diff := cmp.Diff([]string{"decide"}, w.Stuck()); diff != "" {
		t.Error(diff)
	}
	frames.Add(1)
	decisions.Add(1)
	if got := w.Stuck(); len(got) != 0 {
		t.Errorf("got %v stuck, want none", got)
	}
	if diff := cmp.Diff([]string{"capture", "decide"}, w.Stuck()); diff != "" {
		t.Error(diff)
	}
}

func TestTracker_hammer(t *testing.T) {
	tr := NewTracker()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				tr.Raise(LinkDown, Warning, "x")
				tr.Conditions()
				tr.Clear(LinkDown)
			}
		})
	}
	wg.Wait()
	if worst, _ := tr.Conditions(); worst != OK {
		t.Errorf("got %v left over", worst)
	}
}
