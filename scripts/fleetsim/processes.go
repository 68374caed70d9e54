package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program that can be killed and started again.
type process struct {
	name string
	args []string
	log  *os.File
	cmd  *exec.Cmd
}

// startProcess runs a program with its output in a log below dir.
func startProcess(dir, label, name string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, label+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, args: args, log: log}
	return p, p.start()
}

func (p *process) start() error {
	p.cmd = exec.Command(p.name, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p.cmd.Start()
}

// kill ends it as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // may have ended by itself
	_ = p.cmd.Wait()
}

// stop asks it to end and waits.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	_ = p.cmd.Wait()
}

// memory returns the resident memory in MB, 0 when unknown.
func (p *process) memory() (mb int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	_, _ = fmt.Sscan(string(rest), &mb)
	return mb / 1024
}

// cpu returns the processor time used so far.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var user, system time.Duration
	if len(fields) > 12 {
		_, _ = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	}
	const tick = 10 * time.Millisecond // Linux says 100 a second to programs, whatever its own clock
	return (user + system) * tick
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// waitListening returns when somebody accepts connections at an address.
func waitListening(ctx context.Context, address string) error {
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nobody listens at %s: %w", address, err)
		}
	}
}

// brokers are the processes that make up the broker.
type brokers struct {
	url     string
	members []*process
}

// startMosquitto starts one mosquitto. Its queue for the station is as long as the fleet is
// large, so that a reconnect of all does not overrun it.
func startMosquitto(ctx context.Context, dir string) (*brokers, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\n"+
		"max_queued_messages 100000\nmax_inflight_messages 1000\nset_tcp_nodelay true\n", port, dir)
	if os.Geteuid() == 0 {
		text += "user root\n"
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	name := "mosquitto"
	if _, err := exec.LookPath(name); err != nil {
		name = "/usr/sbin/mosquitto"
	}
	p, err := startProcess(dir, "mosquitto", name, "-c", conf)
	if err != nil {
		return nil, fmt.Errorf("%w (apt-get install mosquitto)", err)
	}
	return &brokers{"tcp://" + address, []*process{p}}, waitListening(ctx, address)
}

// startCluster starts three of our own brokers that replicate to each other.
func startCluster(ctx context.Context, dir, program string) (*brokers, error) {
	const size = 3
	var listen, routes []string
	for range 2 * size {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		listen = append(listen, address)
	}
	listen, routes = listen[:size], listen[size:]
	b := &brokers{url: "tcp://" + strings.Join(listen, ",tcp://")}
	for i := range size {
		name := fmt.Sprintf("node%d", i+1)
		p, err := startProcess(dir, name, program, "broker", "--listen", listen[i], "--store", filepath.Join(dir, name),
			"--cluster", name, "--cluster-listen", routes[i], "--routes", strings.Join(routes, ","))
		if err != nil {
			return nil, err
		}
		b.members = append(b.members, p)
	}
	for _, address := range listen {
		if err := waitListening(ctx, address); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *brokers) stop() {
	for _, p := range b.members {
		p.kill()
	}
}

// startStation runs emberwing ground.
func startStation(ctx context.Context, dir, program, broker string) (p *process, url string, err error) {
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	p, err = startProcess(dir, "ground", program, "ground", "--broker", broker, "--listen", address,
		"--store", filepath.Join(dir, "ground.db"), "--name", "fleetsim")
	if err != nil {
		return nil, "", err
	}
	return p, "http://" + address, waitListening(ctx, address)
}
