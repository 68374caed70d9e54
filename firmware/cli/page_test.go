package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emberwing/telemetry/page"
)

// A page that only this machine can reach asks for nothing; any other asks for a token.
func TestTokenBeyondLoopback(t *testing.T) {
	for listen, asks := range map[string]bool{
		"127.0.0.1:0": false, "[::1]:0": false, "localhost:0": false, "0.0.0.0:8780": true, "[::]:8780": true, ":8780": true, "192.0.2.7:80": true,
	} {
		var out bytes.Buffer
		w := web{listen: listen}
		token, err := w.token(&out)
		if err != nil || (token != "") != asks || asks && (len(token) < page.MinToken || !strings.Contains(out.String(),
			token)) {
			t.Errorf("%s: got token %q, %v and %q", listen, token, err, out.String())
		}
	}
	w := web{listen: "nowhere"}
	if _, err := w.token(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v, want --listen refused", err)
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	w := web{listen: "127.0.0.1:0", tokenFile: path}
	first, err := w.token(&bytes.Buffer{})
	if info, statErr := os.Stat(path); err != nil || statErr != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v, want a file for its owner alone", err, statErr)
	}
	if again, err := w.token(&bytes.Buffer{}); err != nil || again != first {
		t.Errorf("got %q, %v, want the token of the file", again, err)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.token(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "holds 5 characters") {
		t.Errorf("got %v, want a short token refused", err)
	}
}
