package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lockFile keeps a second process out; the lock ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w: stop it, or use another file", ErrInUse)
		}
		return nil, err
	}
	return f, nil
}

// isDamage tells a file that is broken from one that cannot be used now.
func isDamage(err error) bool {
	if errors.Is(err, ErrDamaged) {
		return true
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

const logHeader = 32 // bytes before the first page of a write-ahead log

const magic = "SQLite format 3\x00" // begins a file

// checkHeader looks at the file before SQLite does, which throws the log of a file away that
// it does not recognise.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, _ := f.ReadAt(head, 0) // what is missing is zero
	if n == 0 {
		if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > logHeader {
			return fmt.Errorf("%w: it is empty, and its log is not", ErrDamaged)
		}
		return nil
	}
	if string(head) != magic {
		return fmt.Errorf("%w: it does not begin as SQLite files do", ErrDamaged)
	}
	return nil
}

// brokenSchema recognises tables that are not those of the version that the file claims.
func brokenSchema(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_ERROR {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// IsFull reports whether a write failed because the disk is full or must not be written.
func IsFull(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EROFS)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY:
		return true
	}
	return false
}

// IsUnavailable reports whether a write failed because of the file or its disk, so that no
// other message would fare better.
func IsUnavailable(err error) bool {
	var e *sqlite.Error
	if IsFull(err) || isDamage(err) {
		return true
	}
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return true
	}
	return false
}

// IsDamaged reports whether a file turned out to be broken; opening it again salvages it.
func IsDamaged(err error) bool { return isDamage(err) }

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeFiles removes what there is of these.
func removeFiles(path string, suffixes ...string) error {
	for _, suffix := range suffixes {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
