package boards_test

import (
	"fmt"
	"testing/fstest"

	"emberwing/boards"
)

// On a board the file system is os.DirFS("/").
func ExampleDetect() {
	root := fstest.MapFS{
		"proc/device-tree/compatible": {Data: []byte("nvidia,p3450-0000\x00nvidia,jetson-nano\x00nvidia,tegra210\x00")},
		"etc/nv_tegra_release":        {Data: []byte("# R32 (release), REVISION: 7.1, GCID: 29689809, BOARD: t210ref\n")},
	}
	d, err := boards.Detect(root)
	if err != nil {
		fmt.Println(err)
	}
	line, _ := d.Board.StatusLine()
	userland, _ := d.L4T.Userland()
	fmt.Println(d.Board.Name, d.Board.ComputeCapability.SM(), "JetPack", d.JetPack)
	fmt.Println("fast INT8:", d.Board.Fast(boards.INT8))
	fmt.Println("status output:", line)
	fmt.Println("newest glibc symbol:", userland.Glibc)
	// Output:
	// Jetson Nano 4GB sm_53 JetPack 4.6.1
	// fast INT8: no
	// status output: tegra-gpio:79
	// newest glibc symbol: 2.27
}
