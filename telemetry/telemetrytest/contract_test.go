package telemetrytest_test

import (
	"testing"

	"go.uber.org/goleak"

	"emberwing/telemetry/telemetrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMosquitto(t *testing.T) { telemetrytest.RunContract(t, telemetrytest.NewMosquitto) }

func TestEmbedded(t *testing.T) { telemetrytest.RunContract(t, telemetrytest.NewEmbedded) }
