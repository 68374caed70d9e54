// Package firmware joins the rooms into programs. The package itself holds the
// rules that keep the rooms apart: deps_test.go says who may import whom, and
// repo_test.go what every folder owes its reader. DESIGN.md gives the reasons.
package firmware
