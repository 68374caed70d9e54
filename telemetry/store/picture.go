package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image/jpeg"
	"time"

	"emberwing/telemetry/wire"
)

// upsertPicture keeps the widest picture of an event.
const upsertPicture = "INSERT INTO pictures(event, type, width, height, sha256, body) VALUES(?, ?, ?, ?, ?, ?)" +
	" ON CONFLICT(event) DO UPDATE SET type = excluded.type, width = excluded.width, height = excluded.height," +
	" sha256 = excluded.sha256, body = excluded.body WHERE excluded.width > pictures.width"

var errPicture = errors.New("not a JPEG that can be decoded")

// describeJPEG measures a picture without decoding its pixels.
func describeJPEG(body []byte) (Picture, error) {
	size, err := jpeg.DecodeConfig(bytes.NewReader(body))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", errPicture, err)
	}
	sum := sha256.Sum256(body)
	return Picture{Type: "image/jpeg", Bytes: len(body), Width: size.Width, Height: size.Height,
		SHA256: hex.EncodeToString(sum[:])}, nil
}

// picture keeps body if the event has none as wide, and reports whether it does.
func (b *batch) picture(event int64, body []byte) (bool, error) {
	p, err := describeJPEG(body)
	if err != nil {
		return false, err
	}
	res, err := b.exec(upsertPicture, event, p.Type, p.Width, p.Height, p.SHA256, body)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// thumb keeps the thumbnail of an alert as the picture of its event. One that cannot be
// decoded stays in the alert only.
func (b *batch) thumb(event int64, a *wire.Alert) error {
	if len(a.Evidence.Thumb) == 0 {
		return nil
	}
	if _, err := b.picture(event, a.Evidence.Thumb); err != nil && !errors.Is(err, errPicture) {
		return err
	}
	return nil
}

// PutPicture keeps the picture that a drone sent of one of its events. It returns nil when
// the store has one as wide, and ErrNotFound when it does not know the event.
func (s *Store) PutPicture(ctx context.Context, p *wire.Picture, at time.Time) (*Entry, error) {
	entry := &Entry{Kind: EntryPicture, At: wire.At(at), Event: new(Event)}
	err := s.reader.QueryRowContext(ctx, "SELECT e.id FROM drones d JOIN events e ON e.drone = d.id"+
		" WHERE d.fleet = ? AND d.drone = ? AND e.event = ? ORDER BY e.id DESC LIMIT 1", p.Fleet, p.Drone,
		p.Event).Scan(&entry.Event.ID)
	if err != nil {
		return nil, fmt.Errorf("store picture: %w", notFound(err))
	}
	changed := false
	err = s.write(ctx, func(b *batch) (err error) {
		if changed, err = b.picture(entry.Event.ID, p.JPEG); err != nil || !changed {
			return err
		}
		if err := b.feed(EntryPicture, at, entry.Event.ID, 0, "", []byte{}); err != nil {
			return err
		}
		entry.Row = b.row
		_, err = b.exec(touchEvent, b.row, entry.Event.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store picture: %w", err)
	}
	if !changed {
		return nil, nil
	}
	s.attachEvent(ctx, entry)
	return entry, nil
}
