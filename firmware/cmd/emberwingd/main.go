// Command emberwingd is the drone daemon: camera → inference → MQTT.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"emberwing/firmware/daemon"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	return daemon.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
