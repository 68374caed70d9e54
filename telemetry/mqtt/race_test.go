//go:build race

package mqtt_test

// raceDetector takes several times the memory.
const raceDetector = true
