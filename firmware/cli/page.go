package cli

import (
	"fmt"
	"io"

	"emberwing/telemetry/ground"
)

func servePage(listen, pictures string, log io.Writer) (ground.Handler, func(), error) {
	return nil, nil, fmt.Errorf("no page yet: use --headless")
}
