package boards

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// L4T is a Linux-for-Tegra release; the zero value means "not a Jetson, or
// unknown".
type L4T struct {
	Major    int    `json:"major"`              // 32 in R32.7.1
	Revision string `json:"revision,omitempty"` // "7.1" in R32.7.1
}

// String prints "32.7.1", or "" for the zero value.
func (r L4T) String() string {
	if r.Major == 0 {
		return ""
	}
	if r.Revision == "" {
		return strconv.Itoa(r.Major)
	}
	return fmt.Sprintf("%d.%s", r.Major, r.Revision)
}

// JetPack returns the exact JetPack version of the release, e.g. "4.6.1", or
// "" where sources disagree or are silent.
func (r L4T) JetPack() string {
	for _, row := range jetpacks() {
		if row.l4t == r.String() {
			return row.jetpack
		}
	}
	return ""
}

// Userland is what a JetPack generation offers to a program: the versions
// that a binary and its libraries have to fit.
type Userland struct {
	L4T        int    `json:"l4t"` // major release
	JetPack    string `json:"jetpack"`
	Ubuntu     string `json:"ubuntu"`
	Kernel     string `json:"kernel"`
	Glibc      string `json:"glibc"`      // highest GLIBC_ symbol version
	Glibcxx    string `json:"glibcxx"`    // highest GLIBCXX_ symbol version
	CUDA       string `json:"cuda"`       // as shipped
	CuDNN      string `json:"cudnn"`      // as shipped
	TensorRT   string `json:"tensorrt"`   // as shipped
	OpenCV     string `json:"opencv"`     // NVIDIA's package, built without CUDA
	GPIOv2     bool   `json:"gpio_v2"`    // kernel has the v2 character-device interface
	Unverified string `json:"unverified"` // names of the fields that no source confirmed
}

// Userland returns what the JetPack generation of r offers, as of its last
// release, and whether the generation is known.
func (r L4T) Userland() (Userland, bool) {
	for _, u := range userlands() {
		if u.L4T == r.Major {
			return u, true
		}
	}
	return Userland{}, false
}

// userlands: package versions read in meta-tegra recipes and jetpack-nixos
// deb lists; R38 was not covered by either.
func userlands() []Userland {
	return []Userland{
		{32, "4.6", "18.04", "4.9", "2.27", "3.4.25", "10.2", "8.2.1", "8.2.1", "4.1.1", false, "glibcxx"},
		{35, "5.1", "20.04", "5.10", "2.31", "3.4.28", "11.4", "8.6.0", "8.5.2", "4.5.4", true, "gpio_v2"},
		{36, "6.2", "22.04", "5.15", "2.35", "3.4.30", "12.6", "9.3.0", "10.3.0", "4.8.0", true, "glibcxx gpio_v2"},
		{39, "7.2", "24.04", "6.8", "2.39", "3.4.33", "13.2", "9.20.0", "10.16.2", "4.8.0", true, "glibc glibcxx gpio_v2"},
	}
}

// jetpacks: jetson_stats jetson_variables.py. Left out on purpose: 36.5.0,
// where jetson-containers disagrees (6.2.2 against 6.2.1).
func jetpacks() []struct{ l4t, jetpack string } {
	return []struct{ l4t, jetpack string }{
		{"32.6.1", "4.6"}, {"32.7.1", "4.6.1"}, {"32.7.2", "4.6.2"}, {"32.7.3", "4.6.3"},
		{"32.7.4", "4.6.4"}, {"32.7.5", "4.6.5"}, {"32.7.6", "4.6.6"},
		{"35.1.0", "5.0.2"}, {"35.2.1", "5.1"}, {"35.3.1", "5.1.1"}, {"35.4.1", "5.1.2"}, {"35.5.0", "5.1.3"},
		{"35.6.0", "5.1.4"}, {"35.6.1", "5.1.5"}, {"35.6.2", "5.1.5"}, {"35.6.3", "5.1.5"}, {"35.6.4", "5.1.6"},
		{"36.2.0", "6.0DP"}, {"36.3.0", "6.0"}, {"36.4.0", "6.1"}, {"36.4.3", "6.2"},
		{"36.4.4", "6.2.1"}, {"36.4.7", "6.2.1"},
		{"38.2.0", "7.0"}, {"38.2.1", "7.0"}, {"38.2.2", "7.0"}, {"38.4.0", "7.1"}, {"39.2.0", "7.2"},
	}
}

// parseL4T reads the first line of /etc/nv_tegra_release, which looks like
// "# R36 (release), REVISION: 4.3, GCID: …, BOARD: generic, …". BOARD is
// ignored: it names the wrong SoC on several boards. A line of another shape
// gives the zero value.
func parseL4T(text []byte) L4T {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	head, rest, ok := strings.Cut(string(line), ",")
	if !ok {
		return L4T{}
	}
	release := strings.Fields(strings.TrimPrefix(head, "#"))
	if len(release) == 0 || !strings.HasPrefix(release[0], "R") {
		return L4T{}
	}
	major, err := strconv.ParseUint(release[0][1:], 10, 8)
	if err != nil {
		return L4T{}
	}
	return L4T{Major: int(major), Revision: revision(rest)}
}

// revision finds "REVISION: 4.3" among comma-separated fields.
func revision(fields string) string {
	for f := range strings.SplitSeq(fields, ",") {
		key, value, ok := strings.Cut(f, ":")
		if ok && strings.TrimSpace(key) == "REVISION" {
			return clean(value)
		}
	}
	return ""
}
