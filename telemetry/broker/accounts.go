package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// Role is what an account may do.
type Role string

// The roles. A drone publishes and subscribes below its own topics only; a reader
// subscribes to everything and publishes nothing; a station does both.
const (
	RoleDrone   Role = "drone"
	RoleReader  Role = "reader"
	RoleStation Role = "station"
)

// Account is one that may connect.
type Account struct {
	Name     string
	Password string // as it is, or its bcrypt hash
	Role     Role
	Fleet    string // of a drone
	Drone    string // of a drone
}

// ErrAccounts is wrapped by every error about a file of accounts.
var ErrAccounts = errors.New("bad accounts")

// ReadAccounts reads one account a line: name, colon, password (or its bcrypt hash). A name
// of the form fleet/drone is a drone; station, or station-anything, is a ground station; any
// other name is a reader. Empty lines and those that begin with # do not count.
func ReadAccounts(r io.Reader) ([]Account, error) {
	var accounts []Account
	known := make(map[string]bool)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		a, err := parseAccount(text)
		if err == nil && known[a.Name] {
			err = fmt.Errorf("name %q is there twice", a.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrAccounts, n, err)
		}
		known[a.Name] = true
		accounts = append(accounts, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAccounts, err)
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("%w: there are none, so nobody could connect", ErrAccounts)
	}
	return accounts, nil
}

// parseAccount never puts the line into an error: it holds a password.
func parseAccount(text string) (Account, error) {
	name, password, ok := strings.Cut(text, ":")
	if !ok || name == "" || password == "" {
		return Account{}, errors.New("want name:password")
	}
	a := Account{Name: name, Password: password, Role: RoleReader}
	if fleet, drone, ok := strings.Cut(name, "/"); ok {
		if fleet == "" || drone == "" || strings.ContainsAny(name, "+#*> ") || strings.Contains(drone, "/") {
			return Account{}, fmt.Errorf("got name %q, want fleet/drone", name)
		}
		a.Role, a.Fleet, a.Drone = RoleDrone, fleet, drone
	} else if name == "station" || strings.HasPrefix(name, "station-") {
		a.Role = RoleStation
	}
	return a, nil
}

// subjects of the server. It turns the slashes of MQTT into dots, and dots into two slashes.
const (
	everything = ">"
	delivery   = "$MQTT.sub.>" // what the server needs to hand out messages of QoS 1
	fleetRoot  = "ew.1."
)

func subject(id string) string { return strings.ReplaceAll(id, ".", "//") }

func (a *Account) user() *server.User {
	u := &server.User{Username: a.Name, Password: a.Password}
	switch a.Role {
	case RoleDrone:
		own := fleetRoot + subject(a.Fleet) + "." + subject(a.Drone) + "."
		u.Permissions = &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{
				own + "status", own + "alert.*", own + "stats", own + "health", own + "picture", own + "cmd.result"}},
			Subscribe: &server.SubjectPermission{Allow: []string{own + "receipt", own + "cmd.*", delivery}},
		}
	case RoleReader:
		u.Permissions = &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{everything}},
			Subscribe: &server.SubjectPermission{Allow: []string{everything}},
		}
	}
	return u
}
