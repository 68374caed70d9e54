package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// process is a program that can be killed and started again. Its output goes to a log file.
type process struct {
	name string
	args []string
	env  []string
	log  *os.File
	line func(string) // for each line on standard error; may be nil

	cmd  *exec.Cmd // nil while it does not run
	done chan struct{}
}

func newProcess(dir, name string, args, env []string, line func(string)) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &process{name: name, args: args, env: env, log: log, line: line}, nil
}

// start starts the program unless it runs.
func (p *process) start() error {
	if p.running() {
		return nil
	}
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout = p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.log, "--- start %v\n", p.args)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		defer close(done)
		p.read(stderr)
		_ = cmd.Wait() // how it ended is asked for where it matters
	}()
	return nil
}

func (p *process) read(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		fmt.Fprintln(p.log, s.Text())
		if p.line != nil {
			p.line(s.Text())
		}
	}
}

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the program at once and waits until its last output is read.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// end sends a signal, waits for the end and returns the exit code, -1 after a signal.
func (p *process) end(signal syscall.Signal) int {
	if p == nil || p.cmd == nil {
		return 0
	}
	_ = p.cmd.Process.Signal(signal) // may have ended by itself
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// tally counts lines by a key, from any goroutine.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func newTally() *tally { return &tally{n: make(map[string]int)} }

func (t *tally) add(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[key]++
}

// copy returns the counts at this moment.
func (t *tally) copy() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := make(map[string]int, len(t.n))
	for k, n := range t.n {
		c[k] = n
	}
	return c
}

// has reports whether every key of other was counted.
func (t *tally) has(other map[string]int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range other {
		if t.n[k] == 0 {
			return false
		}
	}
	return true
}
