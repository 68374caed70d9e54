package boards

// StatusOutput is a lamp or a buzzer that shows an alert. Package gpio drives
// a real one; boardstest has a fake and the contract both keep.
type StatusOutput interface {
	// Set switches the output. After Close it fails with os.ErrClosed.
	Set(on bool) error
	// Close switches the output off and releases it. A second Close does
	// nothing and returns nil.
	Close() error
}
