package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
)

const markPrefix = "mark:" // of keys in the table meta

// Mark returns how far a reader of the feed has come, by its name; false when it never said.
func (s *Store) Mark(ctx context.Context, name string) (row int64, ok bool, err error) {
	var text string
	err = s.reader.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", markPrefix+name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err == nil {
		row, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		return 0, false, fmt.Errorf("read mark of %s: %w", name, err)
	}
	return row, true, nil
}

// SetMark remembers how far a reader of the feed has come.
func (s *Store) SetMark(ctx context.Context, name string, row int64) error {
	err := s.write(ctx, func(b *batch) error {
		_, err := b.tx.ExecContext(ctx, "INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
			markPrefix+name, strconv.FormatInt(row, 10))
		return err
	})
	if err != nil {
		return fmt.Errorf("set mark of %s: %w", name, err)
	}
	return nil
}
