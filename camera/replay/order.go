package replay

import (
	"cmp"
	"slices"
	"strings"
)

// sortNaturally sorts names with the digits in them read as numbers.
func sortNaturally(names []string) { slices.SortFunc(names, compareNaturally) }

// compareNaturally compares piece by piece; equal numbers of different length
// (7, 07) are told apart by the plain order at the end.
func compareNaturally(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		var p, q string
		p, x = piece(x)
		q, y = piece(y)
		if c := comparePieces(p, q); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// piece splits s after its first run of digits or of other bytes.
func piece(s string) (first, rest string) {
	n := 1
	for n < len(s) && digit(s[n]) == digit(s[0]) {
		n++
	}
	return s[:n], s[n:]
}

// comparePieces compares two numbers by value and anything else as text.
func comparePieces(p, q string) int {
	if !digit(p[0]) || !digit(q[0]) {
		return strings.Compare(p, q)
	}
	p, q = strings.TrimLeft(p, "0"), strings.TrimLeft(q, "0")
	return cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q))
}

// digit reports whether c is an ASCII digit.
func digit(c byte) bool { return '0' <= c && c <= '9' }
