package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// ThreadTime returns the processor time that the calling thread has used, 0
// where the system does not tell. It is what a model on one thread costs.
// getrusage would count ticks of some milliseconds on many kernels.
func ThreadTime() time.Duration { return used(unix.CLOCK_THREAD_CPUTIME_ID) }

// ProcessTime returns the processor time of all threads of this process, 0
// where the system does not tell. It is what a model on several threads costs.
func ProcessTime() time.Duration { return used(unix.CLOCK_PROCESS_CPUTIME_ID) }

func used(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
