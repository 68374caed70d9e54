// Command emberwing is the tool beside the drone daemon: demo, classify, eval,
// watch, board, doctor and model.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"emberwing/firmware/cli"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	return cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}
