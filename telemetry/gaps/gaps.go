// Package gaps notices numbers that are missing in a sequence which arrives out of order,
// in bounded memory.
package gaps

import "slices"

// Sequence follows the numbers of one lane of one drone. The zero value is ready to use,
// and its JSON form restores it. It remembers at most maxGaps gaps and gives up the oldest
// beyond that.
type Sequence struct {
	Boot    string  `json:"boot"`              // that the latest number came with
	High    uint64  `json:"high"`              // highest number seen, 0 before the first
	Missing []Range `json:"missing,omitempty"` // in order, below High
	GivenUp uint64  `json:"given_up,omitempty"`
}

// Range is a run of numbers, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

const maxGaps = 64

// Note takes a number in, and reports whether it is news: not a repetition, nor of a gap
// that was given up. Zero is not numbered, so always news. A number that was seen before
// under another boot means that the drone lost its outbox and counts from the start.
func (s *Sequence) Note(boot string, seq uint64) (news bool) {
	news = true
	switch {
	case seq == 0:
		return true
	case s.High == 0 || seq == s.High+1:
		s.High = seq
	case seq > s.High:
		s.Missing = append(s.Missing, Range{s.High + 1, seq - 1})
		s.High = seq
	case s.fill(seq):
	case boot != s.Boot:
		s.High, s.Missing = seq, nil
	default:
		news = false
	}
	s.Boot = boot
	if len(s.Missing) > maxGaps {
		s.GivenUp += s.Missing[0].To - s.Missing[0].From + 1
		s.Missing = slices.Delete(s.Missing, 0, 1)
	}
	return news
}

// fill takes seq out of the gap it is in, if there is one.
func (s *Sequence) fill(seq uint64) bool {
	i := slices.IndexFunc(s.Missing, func(g Range) bool { return g.From <= seq && seq <= g.To })
	if i < 0 {
		return false
	}
	g := s.Missing[i]
	parts := slices.DeleteFunc([]Range{{g.From, seq - 1}, {seq + 1, g.To}}, func(g Range) bool { return g.From > g.To })
	s.Missing = slices.Replace(s.Missing, i, i+1, parts...)
	return true
}

// Count returns how many numbers are missing.
func (s *Sequence) Count() (n uint64) {
	for _, g := range s.Missing {
		n += g.To - g.From + 1
	}
	return n
}
