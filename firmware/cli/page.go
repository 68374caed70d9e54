package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"emberwing/firmware/version"
	"emberwing/telemetry/page"
)

// servePage serves the live page over the pictures in a folder. stop ends it.
func servePage(listen, pictures, banner string) (p *page.Page, url string, stop func(), err error) {
	root, err := os.OpenRoot(pictures)
	if err != nil {
		return nil, "", nil, fmt.Errorf("open pictures: %w", err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		root.Close()
		return nil, "", nil, fmt.Errorf("serve page: %w (choose another --listen, or --headless)", err)
	}
	p = page.New(page.Options{Pictures: root.FS(), Software: "emberwing " + version.String(), Banner: banner})
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l) // ends with ErrServerClosed
	}()
	return p, "http://" + l.Addr().String(), func() {
		p.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(ctx)
		server.Close()
		<-served
		root.Close()
	}, nil
}
