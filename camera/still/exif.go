package still

import (
	"bytes"
	"encoding/binary"
)

// orientationTag is the EXIF tag that says how the camera was held.
const orientationTag = 0x0112

// jpegOrientation returns the EXIF orientation 1..8 of a JPEG file, 1 when
// there is none.
func jpegOrientation(data []byte) int {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker := data[at+1]
		if marker == 0xff { // fill byte
			at++
			continue
		}
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xda || size < 2 || at+2+size > len(data) {
			break // start of scan, or a broken segment
		}
		body := data[at+4 : at+2+size]
		if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && marker == 0xe1 {
			return tiffOrientation(exif)
		}
		at += 2 + size
	}
	return 1
}

// pngOrientation returns the orientation in the eXIf chunk of a PNG file, 1
// when there is none.
func pngOrientation(data []byte) int {
	for at := 8; at+12 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		if size < 0 || size > len(data)-at-12 {
			break
		}
		if string(data[at+4:at+8]) == "eXIf" {
			return tiffOrientation(data[at+8 : at+8+size])
		}
		at += 12 + size
	}
	return 1
}

// tiffOrientation finds the orientation in the first directory of a TIFF
// structure.
func tiffOrientation(data []byte) int {
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(data, []byte("MM")) {
		order = binary.BigEndian
	}
	if len(data) < 8 || order.Uint16(data[2:]) != 42 {
		return 1
	}
	at := int64(order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return 1
	}
	entries := int(order.Uint16(data[at:]))
	for entry := data[at+2:]; entries > 0 && len(entry) >= 12; entry, entries = entry[12:], entries-1 {
		if order.Uint16(entry) == orientationTag {
			return validOrientation(int(order.Uint16(entry[8:])))
		}
	}
	return 1
}

// validOrientation replaces values outside 1..8 by 1.
func validOrientation(v int) int {
	if v < 1 || v > 8 {
		return 1
	}
	return v
}
