package broker_test

import (
	"errors"
	"strings"
	"testing"

	"emberwing/telemetry/broker"
)

// FuzzReadAccounts: every account that is read has what it needs, and no error tells a password.
func FuzzReadAccounts(f *testing.F) {
	f.Add("# who\nalps/d1:hunter2secret\nstation:$2a$10$abc\nviewer:x\n")
	f.Add("a/b/c:x")
	f.Fuzz(func(t *testing.T, text string) {
		accounts, err := broker.ReadAccounts(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, broker.ErrAccounts) || strings.Contains(err.Error(), "hunter2secret") {
				t.Fatalf("got %v", err)
			}
			return
		}
		for _, a := range accounts {
			if a.Name == "" || a.Password == "" || a.Role == broker.RoleDrone != (a.Drone != "" && a.Fleet != "") {
				t.Fatalf("got %+v", a)
			}
		}
	})
}
