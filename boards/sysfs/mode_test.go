package sysfs_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"emberwing/boards/sysfs"
)

const superConf = `# Orin Nano Super
< PARAM TYPE=FILE NAME=CPU_ONLINE >
< FAN_MODE ID=2 NAME=quiet >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
`

func TestPowerMode(t *testing.T) {
	for _, tt := range []struct {
		status, conf string
		want         sysfs.PowerMode
		fault        error
	}{
		{"pmode:0002 fmode:fan_mode_quiet\n", superConf, sysfs.PowerMode{ID: 2, Name: "MAXN_SUPER"}, nil},
		{"pmode:0000", superConf, sysfs.PowerMode{ID: 0, Name: "15W"}, nil},
		{"pmode:0001 fmode:quiet", superConf, sysfs.PowerMode{ID: 1}, nil},
		{"pmode:0002", "", sysfs.PowerMode{ID: 2}, nil},
		{"0002", superConf, sysfs.PowerMode{}, sysfs.ErrNoData},
		{"pmode:-1", superConf, sysfs.PowerMode{}, sysfs.ErrNoData},
		{"", superConf, sysfs.PowerMode{}, sysfs.ErrNoData},
	} {
		fsys := fstest.MapFS{"var/lib/nvpmodel/status": {Data: []byte(tt.status)}}
		if tt.conf != "" {
			fsys["etc/nvpmodel.conf"] = &fstest.MapFile{Data: []byte(tt.conf)}
		}
		got, err := sysfs.ReadPowerMode(fsys)
		if got != tt.want || !errors.Is(err, tt.fault) {
			t.Errorf("%q: got %+v, %v, want %+v, %v", tt.status, got, err, tt.want, tt.fault)
		}
	}
	if _, err := sysfs.ReadPowerMode(fstest.MapFS{}); !errors.Is(err, sysfs.ErrAbsent) {
		t.Errorf("no nvpmodel: got %v, want %v", err, sysfs.ErrAbsent)
	}
}
