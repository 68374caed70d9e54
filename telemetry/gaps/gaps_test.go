package gaps

import (
	"testing"

	"pgregory.net/rapid"
)

// A set of numbers is the model.
func TestSequenceAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Sequence
		first := rapid.Uint64Range(1, 50).Draw(t, "first")
		s.Note("b", first)
		seen, high := map[uint64]bool{first: true}, first
		for _, n := range rapid.SliceOf(rapid.Uint64Range(first, first+60)).Draw(t, "numbers") {
			if got := s.Note("b", n); got == seen[n] {
				t.Fatalf("%d is news: %v, want %v", n, got, !seen[n])
			}
			seen[n], high = true, max(high, n)
		}
		var missing uint64
		for n := first; n <= high; n++ {
			if !seen[n] {
				missing++
			}
		}
		if got := s.Count(); got != missing || s.High != high {
			t.Fatalf("got %d missing up to %d, want %d up to %d", got, s.High, missing, high)
		}
	})
}

func TestSequenceIsBounded(t *testing.T) {
	var s Sequence
	for n := uint64(1); n < 1000; n += 2 {
		s.Note("b", n)
	}
	if len(s.Missing) > maxGaps || s.GivenUp+s.Count() != 499 {
		t.Errorf("got %d gaps, %d given up and %d missing, want at most %d gaps and 499 in all", len(s.Missing), s.GivenUp,
			s.Count(), maxGaps)
	}
}

func TestSequenceStartsAgainWithALostOutbox(t *testing.T) {
	var s Sequence
	for _, n := range []uint64{10, 12} {
		s.Note("old", n)
	}
	s.Note("new", 11) // late, by way of a new boot
	if s.Count() != 0 || s.High != 12 {
		t.Errorf("got %+v, want the gap filled", s)
	}
	s.Note("newer", 1)
	s.Note("newer", 2)
	if s.Count() != 0 || s.High != 2 {
		t.Errorf("got %+v, want a count from the start", s)
	}
	s.Note("newer", 0) // not numbered
	if s.High != 2 {
		t.Errorf("got %+v, want 0 ignored", s)
	}
}
