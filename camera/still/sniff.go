package still

import "bytes"

// signature is how a format begins: the bytes that stand at an offset.
type signature struct {
	kind  string
	at    int
	bytes string
}

// signatures are those of the two formats we read and of the files that
// people mistake for them.
func signatures() []signature {
	return []signature{
		{"JPEG", 0, "\xff\xd8\xff"},
		{"PNG", 0, "\x89PNG\r\n\x1a\n"},
		{"GIF", 0, "GIF8"},
		{"WebP", 8, "WEBP"},
		{"AVI video", 8, "AVI "},
		{"HEIC", 4, "ftypheic"},
		{"HEIC", 4, "ftypheix"},
		{"HEIC", 4, "ftypmif1"},
		{"AVIF", 4, "ftypavif"},
		{"MP4 video", 4, "ftyp"},
		{"Matroska video", 0, "\x1aE\xdf\xa3"},
		{"BMP", 0, "BM"},
		{"TIFF", 0, "II*\x00"},
		{"TIFF", 0, "MM\x00*"},
		{"JPEG 2000", 4, "jP  "},
		{"JPEG XL", 0, "\xff\x0a"},
		{"JPEG XL", 4, "JXL "},
		{"PDF", 0, "%PDF"},
		{"ZIP", 0, "PK\x03\x04"},
		{"gzip", 0, "\x1f\x8b"},
		{"ELF program", 0, "\x7fELF"},
		{"Git LFS pointer (run git lfs pull)", 0, "version https://git-lfs"},
		{"SVG or XML", 0, "<svg"},
		{"SVG or XML", 0, "<?xml"},
		{"HTML", 0, "<!"},
		{"HTML", 0, "<html"},
	}
}

// sniff names the format of data.
func sniff(data []byte) string {
	for _, s := range signatures() {
		if len(data) >= s.at && bytes.HasPrefix(data[s.at:], []byte(s.bytes)) {
			return s.kind
		}
	}
	if len(data) < 8 {
		return "a file of a few bytes"
	}
	if isText(data[:min(len(data), 512)]) {
		return "text"
	}
	return "unknown data"
}

// isText reports whether there is no control byte in data.
func isText(data []byte) bool {
	for _, b := range data {
		if b < 32 && b != '\n' && b != '\r' && b != '\t' {
			return false
		}
	}
	return true
}
