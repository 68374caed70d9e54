package bench

import (
	"syscall"
	"time"
)

// ThreadTime returns the processor time that the calling thread has used, 0
// where the system does not tell. It is what a model on one thread costs.
func ThreadTime() time.Duration { return used(syscall.RUSAGE_THREAD) }

// ProcessTime returns the processor time of all threads of this process, 0
// where the system does not tell. It is what a model on several threads costs.
func ProcessTime() time.Duration { return used(syscall.RUSAGE_SELF) }

func used(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
