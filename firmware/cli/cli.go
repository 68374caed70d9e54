// Package cli is the command line of the emberwing tool. Each command is one
// file; results go to stdout (with --json one object a line), everything else
// to stderr. Exit codes: 0 ok, 1 failed, 2 usage.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"emberwing/firmware/version"
)

// Streams are the standard streams of one run.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit codes of every command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// errReported ends a command with ExitFailed when its errors are on stderr
// already.
var errReported = errors.New("errors were reported")

// Run executes one command line, without the program's name, and returns the
// exit code. It returns soon after ctx is done.
func Run(ctx context.Context, args []string, s Streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	running := false
	root.PersistentPreRun = func(*cobra.Command, []string) { running = true }
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return ExitOK
	case !running:
		fmt.Fprintf(s.Err, "error: %v\n", err)
		return ExitUsage
	case errors.Is(err, errReported):
		return ExitFailed
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(s.Err, "interrupted")
		return ExitFailed
	}
	fmt.Fprintf(s.Err, "error: %v\n", err)
	return ExitFailed
}

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "emberwing",
		Short: "fire and gesture detection on drones: run, inspect and compare",
		Long: `emberwing is the tool beside the drone daemon emberwingd.

It shows the whole system on one machine (demo), runs models over pictures
(classify, eval), compares modes of a model (bench), follows the alert feed (watch), receives it for operators (ground), and says what this machine
is and what stops it from flying (board, doctor, model).`,
		Example:       "  emberwing demo --seconds 30\n  emberwing classify --model fire photo.jpg",
		Version:       version.String(),
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(classifyCommand(s), evalCommand(s), modelCommand(s), boardCommand(s), doctorCommand(s), watchCommand(s))
	root.AddCommand(groundCommand(s), commandCommand(s), brokerCommand(s), demoCommand(s))
	root.AddCommand(benchCommand(s), benchMemoryCommand(s), quantizeCommand(s))
	return root
}

// emit writes v as one line of JSON.
func emit(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// oneLine keeps an error on one line, so that a log stays one line an error.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
}
