package powercut

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// calls are what a program can change files with, and what tells where.
const calls = "open,openat,creat,lseek,write,writev,pwrite64,ftruncate,fallocate,fsync,fdatasync," +
	"rename,renameat,renameat2,unlink,unlinkat," +
	"mkdir,mkdirat,pwritev,pwritev2,copy_file_range,sendfile,link,linkat,truncate"

// Record runs a program that changes files below dir and prints lines, until it ends, and
// returns what it did. Paths must be absolute. Without strace the test is skipped, and fails
// if the environment has CI=true.
func Record(t testing.TB, dir, program string, args, env []string) *Trace {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		const hint = "strace not found: apt-get install strace"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	log := filepath.Join(t.TempDir(), "trace")
	options := []string{"-f", "-y", "-xx", "-s", "16777216", "-e", "trace=" + calls, "-e", "signal=none", "-o", log,
		"--", program}
	cmd := exec.CommandContext(t.Context(), strace, append(options, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace %s: %v\n%s", program, err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := parser{dir: dir, names: make(map[string]int), offsets: make(map[string]int64), begun: make(map[string]string)}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if err := p.line(strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatalf("read trace: %v in %.200s", err, line)
		}
	}
	if len(p.ops) == 0 {
		t.Fatalf("%s wrote nothing below %s", program, dir)
	}
	return &Trace{p.ops}
}

// parser turns lines of strace into operations.
type parser struct {
	dir     string
	ops     []op
	names   map[string]int // files that exist now
	nodes   int
	offsets map[string]int64  // of file descriptors
	begun   map[string]string // by process: a call that another one interrupted
	printed string            // the beginning of a line
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +([a-z0-9]+)\((.*)\) += (-?\d+|0x[0-9a-f]+)`)
	unfinished  = regexp.MustCompile(`^(\d+) +(.*) <unfinished \.\.\.>$`)
	resumed     = regexp.MustCompile(`^(\d+) +<\.\.\. [a-z0-9]+ resumed>(.*)$`)
	descriptor  = regexp.MustCompile(`^(\d+)<(.*?)>`)
	quotedBytes = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
)

func (p *parser) line(line string) error {
	if m := unfinished.FindStringSubmatch(line); m != nil {
		p.begun[m[1]] = m[2]
		return nil
	}
	if m := resumed.FindStringSubmatch(line); m != nil {
		line = m[1] + " " + p.begun[m[1]] + m[2]
		delete(p.begun, m[1])
	}
	m := callLine.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[4], "-") {
		return nil // the end of a process, or a call that failed and changed nothing
	}
	result, err := strconv.ParseInt(m[4], 0, 64)
	if err != nil {
		return err
	}
	return p.call(m[2], m[3], result)
}

// call takes in one call that succeeded.
func (p *parser) call(name, args string, result int64) error {
	texts, err := quoted(args)
	if err != nil {
		return err
	}
	switch name {
	case "open", "openat", "creat":
		return p.open(texts, args, result)
	case "rename", "renameat", "renameat2":
		if len(texts) != 2 {
			return fmt.Errorf("got %d names, want 2", len(texts))
		}
		p.rename(string(texts[0]), string(texts[1]))
		return nil
	case "mkdir", "mkdirat":
		if dir, ok := p.inside(string(texts[0])); ok {
			p.ops = append(p.ops, op{kind: mkdir, name: dir})
		}
		return nil
	case "link", "linkat", "truncate":
		if _, ok := p.inside(string(texts[0])); ok {
			return fmt.Errorf("%s is not known here", name)
		}
		return nil
	case "unlink", "unlinkat":
		p.remove(string(texts[0]))
		return nil
	}
	fd := descriptor.FindStringSubmatch(args)
	if fd == nil {
		return nil
	}
	path, err := unescape(fd[2])
	if err != nil {
		return err
	}
	return p.onFile(name, fd[1], string(path), args, texts, result)
}

func quoted(args string) (texts [][]byte, err error) {
	for _, m := range quotedBytes.FindAllStringSubmatch(args, -1) {
		b, err := unescape(m[1])
		if err != nil {
			return nil, err
		}
		texts = append(texts, b)
	}
	return texts, nil
}

// unescape undoes what -xx does to every text.
func unescape(text string) ([]byte, error) {
	return hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
}

// inside returns the name of a path below the folder that is watched.
func (p *parser) inside(path string) (string, bool) {
	name, err := filepath.Rel(p.dir, path)
	return name, err == nil && filepath.IsAbs(path) && name != ".." && !strings.HasPrefix(name, "../")
}

func (p *parser) open(texts [][]byte, args string, fd int64) error {
	if len(texts) != 1 {
		return fmt.Errorf("got %d names, want 1", len(texts))
	}
	name, ok := p.inside(string(texts[0]))
	if !ok {
		return nil
	}
	p.offsets[strconv.FormatInt(fd, 10)] = 0
	node, known := p.names[name]
	if !known && strings.Contains(args, "O_CREAT") {
		p.nodes++
		p.names[name] = p.nodes
		p.ops = append(p.ops, op{kind: create, node: p.nodes, name: name})
	} else if known && strings.Contains(args, "O_TRUNC") {
		p.ops = append(p.ops, op{kind: truncate, node: node})
	}
	return nil
}

func (p *parser) rename(from, to string) {
	a, okA := p.inside(from)
	b, okB := p.inside(to)
	node, known := p.names[a]
	if okA && okB && known {
		p.ops = append(p.ops, op{kind: rename, node: node, name: a, target: b})
		delete(p.names, a)
		p.names[b] = node
	}
}

func (p *parser) remove(path string) {
	name, ok := p.inside(path)
	if node, known := p.names[name]; ok && known {
		p.ops = append(p.ops, op{kind: remove, node: node, name: name})
		delete(p.names, name)
	}
}

// onFile takes in a call on a file descriptor.
func (p *parser) onFile(call, fd, path, args string, texts [][]byte, result int64) error {
	if fd == "1" {
		p.print(texts)
		return nil
	}
	name, ok := p.inside(path)
	if !ok {
		return nil
	}
	node, known := p.names[name]
	switch {
	case call == "fsync" && !known:
		p.ops = append(p.ops, op{kind: syncDir, name: name})
	case !known: // a file that was removed while it is open
	case call == "fsync" || call == "fdatasync":
		p.ops = append(p.ops, op{kind: syncFile, node: node})
	case call == "lseek":
		p.offsets[fd] = result
	case call == "write":
		p.ops = append(p.ops, op{kind: write, node: node, off: p.offsets[fd], data: texts[0][:result]})
		p.offsets[fd] += result
	case call == "pwrite64" || call == "ftruncate":
		return p.placed(call, node, args, texts, result)
	default:
		return fmt.Errorf("%s is not known here", call)
	}
	return nil
}

// placed takes in a call whose last argument is a place in the file.
func (p *parser) placed(call string, node int, args string, texts [][]byte, result int64) error {
	at, err := strconv.ParseInt(strings.TrimSpace(args[strings.LastIndex(args, ",")+1:]), 0, 64)
	if err != nil {
		return err
	}
	o := op{kind: truncate, node: node, off: at}
	if call == "pwrite64" {
		o.kind, o.data = write, texts[0][:result]
	}
	p.ops = append(p.ops, o)
	return nil
}

// print collects what the program prints, line by line.
func (p *parser) print(texts [][]byte) {
	for _, t := range texts {
		p.printed += string(t)
	}
	for {
		line, rest, ok := strings.Cut(p.printed, "\n")
		if !ok {
			return
		}
		p.ops = append(p.ops, op{kind: mark, line: line})
		p.printed = rest
	}
}
