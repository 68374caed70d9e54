// Command crosscheck answers two questions about programs that were built for another machine: will
// the target's loader accept them (abi), and do they compute what this machine computes (scores).
// It is a tool of scripts/cross.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: crosscheck abi --sysroot DIR [--glibc MAX] FILE...
       crosscheck scores [--tolerance T] [--min N] WANT.jsonl GOT.jsonl

abi     reports the newest GLIBC that each FILE needs and fails when the target lacks a symbol version
        or a shared library; --glibc replaces the newest version that the sysroot's own libc offers
scores  compares two outputs of "emberwing classify --json": equal labels, and scores within T

example: crosscheck abi --sysroot .cache/sysroot --glibc 2.31 bin/arm64/emberwing
`

// errUsage marks a call that was wrong, as opposed to a check that failed.
var errUsage = errors.New("wrong usage")

func main() {
	err := run(os.Args[1:], os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "crosscheck: %v\n%s", err, usage)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "crosscheck: %v\n", err)
		os.Exit(1)
	}
}

// run carries out one command line and writes its report to out.
func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command", errUsage)
	}
	switch args[0] {
	case "abi":
		return runABI(args[1:], out)
	case "scores":
		return runScores(args[1:], out)
	case "-h", "-help", "--help":
		return flag.ErrHelp
	}
	return fmt.Errorf("%w: unknown command %q", errUsage, args[0])
}

func runABI(args []string, out io.Writer) error {
	flags := newFlags("abi")
	sysroot := flags.String("sysroot", "", "")
	limit := flags.String("glibc", "", "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *sysroot == "" || flags.NArg() == 0 {
		return fmt.Errorf("%w: abi needs --sysroot and at least one file", errUsage)
	}
	target := newTarget(*sysroot)
	if err := target.limitGLIBC(*limit); err != nil {
		return err
	}
	var faults []error
	for _, file := range flags.Args() {
		faults = append(faults, target.check(file, out))
	}
	return errors.Join(faults...)
}

func runScores(args []string, out io.Writer) error {
	flags := newFlags("scores")
	tolerance := flags.Float64("tolerance", 1e-3, "")
	least := flags.Int("min", 1, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return fmt.Errorf("%w: scores needs two files", errUsage)
	}
	want, err := readResults(flags.Arg(0))
	if err != nil {
		return err
	}
	got, err := readResults(flags.Arg(1))
	if err != nil {
		return err
	}
	c := compare(want, got, *tolerance)
	fmt.Fprintln(out, c)
	return c.verdict(*least)
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse reports a wrong flag as wrong usage and lets a request for help through.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w: %w", errUsage, err)
}
