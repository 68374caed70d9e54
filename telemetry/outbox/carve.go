package outbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"emberwing/telemetry/wire"
)

// Sizes of carving.
const (
	carveStep = 1 << 20                       // bytes looked through at a time
	maxTopic  = 512                           // bytes; longer ones have never been written
	maxRecord = maxTopic + wire.MaxPayload    // bytes after the header
	carveRoom = recordHeader + maxRecord + 64 // bytes that a record may reach beyond a step
)

// topicStart begins every topic, and so stands recordHeader bytes into every record.
const topicStart = "ew/1/"

// carve finds the intact records in a file whatever else in it is broken: it goes by the
// records themselves, whose number is in the payload, too, and whose checksum covers both. What
// was acknowledged but not yet written over is found as well; it is sent once more then, and
// the station knows it. Parts of the file that cannot be read are left out.
func carve(path string) (map[uint64]Item, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("salvage outbox: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("salvage outbox: %w", err)
	}
	found := make(map[uint64]Item)
	buf := make([]byte, carveStep+carveRoom)
	for at := int64(0); at < info.Size(); at += carveStep {
		n, err := f.ReadAt(buf, at)
		if err != nil && err != io.EOF && n == 0 {
			continue
		}
		carveRecords(buf[:n], found)
	}
	return found, nil
}

// carveRecords adds the intact records in b.
func carveRecords(b []byte, found map[uint64]Item) {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(topicStart))
		if i < 0 {
			return
		}
		i += from
		if item, size, ok := carveRecord(b, i-recordHeader); ok {
			found[item.Seq] = item
			from = i + size - recordHeader
		} else {
			from = i + len(topicStart)
		}
	}
}

// carveRecord reads the record that begins at a place in b, and tells its size.
func carveRecord(b []byte, at int) (item Item, size int, ok bool) {
	if at < 0 {
		return Item{}, 0, false
	}
	b = b[at:min(len(b), at+recordHeader+maxRecord)]
	topic := int(binary.LittleEndian.Uint16(b[4:]))
	payload := recordHeader + topic
	if topic > maxTopic || payload >= len(b) || b[payload] != '{' {
		return Item{}, 0, false
	}
	var head struct {
		Seq uint64 `json:"seq"`
	}
	object := json.NewDecoder(bytes.NewReader(b[payload:]))
	if err := object.Decode(&head); err != nil {
		return Item{}, 0, false
	}
	size = payload + int(object.InputOffset())
	item, ok = decodeRecord(key(head.Seq), b[:size])
	return item, size, ok
}
