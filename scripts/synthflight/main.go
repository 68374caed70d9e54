// Command synthflight writes labelled pictures of synthetic flights for
// training and evaluation, in the folder layout that the tools read.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `synthflight writes labelled JPEGs sampled over synthetic flights:

    DIR/fire/{nofire,smoke,fire}/        by what the whole frame shows
    DIR/gesture/{palm,fist,peace,point,thumb_up,none}/
    DIR/gesture/boxes.csv                where the hand is, as shares of the sides

Frames that are ambiguous (a wisp of smoke, a hand half in view) are skipped.
Every flight has its own seed, counted up from --seed, and the gestures take
turns. The demo flies seed 1: train on other seeds.

Example:
    go run ./scripts/synthflight --out /tmp/flight --seed 1000 --frames 600

Options:
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	job, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "synthflight:", err)
		return 2
	}
	n, err := job.write()
	if err != nil {
		fmt.Fprintln(stderr, "synthflight:", err)
		return 1
	}
	fmt.Fprintf(stdout, "%d pictures in %s\n", n, job.out)
	return 0
}

// parse reads the command line; it returns flag.ErrHelp after --help.
func parse(args []string, stderr io.Writer) (*job, error) {
	j := &job{}
	size := "640x480"
	fs := flag.NewFlagSet("synthflight", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&j.out, "out", "", "folder to write to")
	fs.Uint64Var(&j.seed, "seed", 1000, "seed of the first flight")
	fs.IntVar(&j.frames, "frames", 600, "frames to render")
	fs.IntVar(&j.perFlight, "per-flight", 12, "frames from each flight, half of them of the hand, a third of the fire")
	fs.StringVar(&size, "size", size, "width x height in pixels")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			fs.SetOutput(stderr)
			fs.PrintDefaults()
		}
		return nil, err
	}
	if _, err := fmt.Sscanf(size, "%dx%d", &j.width, &j.height); err != nil {
		return nil, fmt.Errorf("--size: got %q, want WIDTHxHEIGHT, for example 640x480", size)
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("got unexpected argument %q, see --help", fs.Arg(0))
	case j.out == "":
		return nil, errors.New("--out is missing, see --help")
	case j.frames < 1 || j.perFlight < 1:
		return nil, fmt.Errorf("--frames and --per-flight: got %d and %d, want at least 1", j.frames, j.perFlight)
	}
	return j, nil
}
