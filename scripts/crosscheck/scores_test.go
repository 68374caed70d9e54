package main

import (
	"strings"
	"testing"
)

const reference = `{"path":"a.jpg","label":"fire","score":0.9,"scores":{"fire":0.9,"nofire":0.1},"ms":{"infer":3}}
{"path":"b.jpg","label":"nofire","score":0.8,"scores":{"fire":0.2,"nofire":0.8}}
`

func TestCompare(t *testing.T) {
	tests := []struct {
		name string
		got  string
		min  int
		want string // part of the error, "" for none
	}{
		{name: "the same", got: reference, min: 2},
		{name: "another order", got: swap(reference), min: 2},
		{name: "within the tolerance", got: strings.Replace(reference, "0.1}", "0.1009}", 1), min: 2},
		{name: "beyond the tolerance", got: strings.Replace(reference, "0.1}", "0.1011}", 1), min: 2,
			want: "a.jpg: score of nofire: got 0.101100, want 0.100000"},
		{name: "another label", got: strings.Replace(reference, `label":"fire"`, `label":"smoke"`, 1), min: 2,
			want: "a.jpg: got label smoke (0.9000), want fire (0.9000)"},
		{name: "a missing image", got: reference[:strings.Index(reference, "\n")], min: 1, want: "b.jpg: no result"},
		{name: "an image too many", got: reference + `{"path":"c.jpg","label":"fire"}`, min: 2, want: "c.jpg: got a result"},
		{name: "a missing score", got: strings.Replace(reference, `"nofire":0.1`, `"smoke":0.1`, 1), min: 2,
			want: "a.jpg: no score for nofire"},
		{name: "too few images", got: reference, min: 20, want: "got 2 images, want at least 20"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := compare(decode(t, reference), decode(t, tt.got), 1e-3).verdict(tt.min)
			checkError(t, err, tt.want)
		})
	}
}

func TestDecodeResultsRejects(t *testing.T) {
	for _, text := range []string{`{"path":"a.jpg"}`, `{"label":"fire"}`, `{"path":`, `[]`} {
		if _, err := decodeResults(strings.NewReader(text)); err == nil {
			t.Errorf("decodeResults(%s): got no error, want one", text)
		}
	}
}

func decode(t *testing.T, text string) []result {
	t.Helper()
	rs, err := decodeResults(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// swap exchanges the two lines of text.
func swap(text string) string {
	first, second, _ := strings.Cut(text, "\n")
	return second + first + "\n"
}

// checkError wants an error with a text in it, or none when the text is empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %v, want one with %q", err, want)
	}
}
