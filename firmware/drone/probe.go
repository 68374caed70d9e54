package drone

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"emberwing/camera"
	"emberwing/firmware/config"
	"emberwing/telemetry/mqtt"
	"emberwing/telemetry/wire"
)

// ProbeCamera opens the configured camera, reads one frame and says what came.
func ProbeCamera(ctx context.Context, c config.Camera) (string, error) {
	open, err := opener(c)
	if err != nil {
		return "", err
	}
	src, err := open(ctx)
	if err != nil {
		return "", err
	}
	defer src.Close()
	var f camera.Frame
	if err := src.ReadFrame(ctx, &f); err != nil {
		return "", fmt.Errorf("read first frame: %w", err)
	}
	return fmt.Sprintf("%s gives %dx%d %v", src.Info().Name, f.Width, f.Height, f.Format), nil
}

// CheckBroker reads the files that the connection to the broker needs. Without them the daemon
// does not start.
func CheckBroker(c config.MQTT) error {
	_, err := brokerOf(c)
	return err
}

// ProbeBroker connects to the configured broker and leaves again.
func ProbeBroker(ctx context.Context, c config.MQTT) error {
	broker, err := brokerOf(c)
	if err != nil {
		return err
	}
	conn, err := mqtt.Dial(ctx, broker, mqtt.Session{ClientID: "emberwing-doctor"})
	if err != nil {
		return err
	}
	conn.Disconnect(0)
	return nil
}

// maxSecret bounds a password file: a wrong path should not be sent anywhere.
const maxSecret = 4096

// brokerOf reads the secret and translates the configuration.
func brokerOf(c config.MQTT) (mqtt.Broker, error) {
	b := mqtt.Broker{URL: c.Broker, Username: c.Username, KeepAlive: c.KeepAlive.D()}
	if err := secure(&b, c); err != nil {
		return b, err
	}
	if c.PasswordFile == "" {
		return b, nil
	}
	secret, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return b, fmt.Errorf("mqtt.password_file: %w", err)
	}
	if len(secret) > maxSecret {
		return b, fmt.Errorf("mqtt.password_file: got %d bytes, want at most %d", len(secret), maxSecret)
	}
	b.Password = strings.TrimRight(string(secret), "\r\n")
	return b, nil
}

// secure adds certificates to a broker that is reached by TLS.
func secure(b *mqtt.Broker, c config.MQTT) error {
	if !b.Secure() {
		return nil // a bad address is told by whoever uses it
	}
	files := mqtt.Certificates{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile, Name: c.ServerName}
	if c.ClockTolerant {
		files.ClockSet = func() bool { return clockSource(time.Now()) == wire.ClockNTP }
	}
	if err := files.Check(); err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	b.Certificates = &files
	return nil
}
