package boards

// Table returns every known board. The order is that of the documentation;
// [Detect] does not depend on it. The caller owns the slice.
func Table() []Board {
	return []Board{
		nano4GB(), nano2GB(), tx2(), tx2NX(),
		xavierNX8GB(), xavierNX16GB(), agxXavier(),
		orinNano8GB(), orinNanoSuper(), orinNano4GB(), orinNano4GBSuper(),
		orinNX16GB(), orinNX16GBSuper(), orinNX8GB(), orinNX8GBSuper(),
		agxOrin(), agxOrin32GB(), agxOrin64GB(),
		agxThor(), pi4(), pi5(),
		soc("tegra210", 5, 3, precisionsNoINT8()),
		soc("tegra186", 6, 2, precisionsNoINT8()),
		soc("tegra194", 7, 2, precisionsVolta()),
		soc("tegra234", 8, 7, precisionsAmpere(), "tegra23x"),
		soc("tegra264", 11, 0, nil),
		{ID: GenericX86, Name: "x86-64 computer", SoC: "x86-64", Generic: true},
		{ID: GenericARM64, Name: "unknown arm64 computer", SoC: "arm64", Generic: true},
		{ID: GenericUnknown, Name: "unknown computer", Generic: true},
	}
}

// Identifiers of the rows for machines that no other row fits.
const (
	GenericX86     = "generic-x86-64"
	GenericARM64   = "generic-arm64"
	GenericUnknown = "generic"
)

// References that several rows share.
const (
	refCompute  = "jetson_stats jetson_variables.py CUDA_TABLE; jetson-containers l4t_version.py"
	refGuide    = "ultralytics docs/en/guides/nvidia-jetson.md, quoting NVIDIA"
	refSupport  = "jetpack-nixos README and ultralytics guide"
	refNVPModel = "NVIDIA nvpmodel conf files in LineageOS android_device_nvidia_*"
	refINT8     = "precision list: no stored copy of TensorRT's hardware matrix was found"
)

// precisionsNoINT8: Maxwell and Pascal Tegra run FP16 at twice the FP32 rate
// and have no fast INT8.
func precisionsNoINT8() []Precision { return []Precision{FP32, FP16} }

// precisionsVolta adds INT8.
func precisionsVolta() []Precision { return []Precision{FP32, FP16, INT8} }

// precisionsAmpere adds TF32.
func precisionsAmpere() []Precision { return []Precision{FP32, TF32, FP16, INT8} }

// soc is the row of a module on a carrier nobody listed. Its strings are
// "nvidia,<name>" of the name and its aliases.
func soc(name string, major, minor uint8, fast []Precision, aliases ...string) Board {
	b := Board{
		ID: "generic-" + name, Name: "NVIDIA " + name + " on an unknown carrier", SoC: name, Generic: true,
		Compatible:        []string{"nvidia," + name},
		ComputeCapability: ComputeCapability{major, minor}, FastPrecisions: fast,
		Sources: []Source{
			{[]Figure{OfCompute, OfCompatible}, ReadInSource, refCompute},
			{[]Figure{OfFastPrecisions}, Unverified, refINT8},
		},
	}
	for _, a := range aliases {
		b.Compatible = append(b.Compatible, "nvidia,"+a)
	}
	return b
}

func nano4GB() Board {
	return Board{
		ID: "jetson-nano-4gb", Name: "Jetson Nano 4GB", SoC: "tegra210",
		Compatible:        []string{"nvidia,p3450-0000", "nvidia,p3450-0002", "nvidia,jetson-nano"},
		ComputeCapability: ComputeCapability{5, 3}, CUDACores: 128, GPUMax: 921_600 * KHz,
		MemoryBytes: 4 * GiB, MemoryBandwidth: 25_600 * MBPerSecond, FastPrecisions: precisionsNoINT8(),
		Peaks:  []Peak{{FP16, 472e9, "vendor's figure"}},
		Header: nanoHeader(), StatusPin: 12,
		PowerModes: []PowerMode{{ID: 0, Name: "MAXN"}, {ID: 1, Name: "5W", GPUCap: 640 * MHz}},
		L4T:        []int{32},
		Notes: []string{
			"no fast INT8: quantise to fp16",
			"kernel 4.9 has no GPIO v2 interface and names no lines: the status output goes through /sys/class/gpio",
		},
		Sources: []Source{
			{[]Figure{OfPeaks}, Quoted, refGuide},
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfPowerModes}, ReadInSource, "jetson_stats fixture of nvpmodel -p --verbose"},
			{[]Figure{OfMemory, OfBandwidth, OfGPUClock}, Quoted, refGuide},
			{[]Figure{OfCores}, FieldReport, "deviceQuery log, gist bgulla/5d7afdb6"},
			{[]Figure{OfFastPrecisions}, FieldReport, "kentaroy47/benchmark-FP32-FP16-INT8-with-TensorRT README"},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

// nano2GB carries the device-tree strings of the 4 GB kit; the model string
// or the memory tells them apart. Its own carrier string is that of mainline.
func nano2GB() Board {
	b := nano4GB()
	b.ID, b.Name = "jetson-nano-2gb", "Jetson Nano 2GB"
	b.Compatible = []string{"nvidia,p3541-0000"}
	b.Refines, b.ModelContains, b.MemoryBelow = "jetson-nano-4gb", "Jetson Nano 2GB", 5*GiB/2
	b.MemoryBytes = 2 * GiB
	b.Notes = append(b.Notes, "no INA3221: power cannot be measured on board")
	b.Sources = append([]Source{
		{[]Figure{OfCompatible}, Unverified, "name of mainline tegra210-p3541-0000.dts"},
		{[]Figure{OfMemory}, FieldReport, "model string NVIDIA Jetson Nano 2GB Developer Kit"},
		{[]Figure{OfPowerModes, OfBandwidth, OfGPUClock, OfCores}, Unverified, "taken over from the 4 GB kit"},
	}, b.Sources...)
	return b
}

func tx2() Board {
	return Board{
		ID: "jetson-tx2", Name: "Jetson TX2", SoC: "tegra186",
		Compatible: []string{
			"nvidia,p2771-0000", "nvidia,p2771-0888", "nvidia,p3489-0000",
			"nvidia,quill", "nvidia,storm", "nvidia,lightning",
		},
		ComputeCapability: ComputeCapability{6, 2}, CUDACores: 256, GPUMax: 1300 * MHz,
		MemoryBandwidth: 59_700 * MBPerSecond, FastPrecisions: precisionsNoINT8(),
		Peaks:  []Peak{{FP16, 1.33e12, "vendor's figure"}},
		Header: tx2Header(), StatusPin: 12,
		PowerModes: []PowerMode{
			{ID: 0, Name: "MAXN", GPUCap: 1300 * MHz}, {ID: 1, Name: "MAXQ", GPUCap: 850 * MHz},
			{ID: 2, Name: "MAXP_CORE_ALL", GPUCap: 1120 * MHz}, {ID: 3, Name: "MAXP_CORE_ARM", GPUCap: 1120 * MHz},
		},
		L4T:   []int{32},
		Notes: []string{"no fast INT8: quantise to fp16", "sold with 4 and 8 GB"},
		Sources: []Source{
			{[]Figure{OfPeaks}, Quoted, refGuide},
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfCores, OfBandwidth}, Quoted, "balena-os/balena-os-device-support#53, quoting NVIDIA"},
			{[]Figure{OfGPUClock}, Quoted, refGuide},
			{[]Figure{OfPowerModes}, ReadInSource, refNVPModel},
			{[]Figure{OfFastPrecisions}, Unverified, refINT8},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

func tx2NX() Board {
	return Board{
		ID: "jetson-tx2-nx", Name: "Jetson TX2 NX", SoC: "tegra186",
		Compatible:        []string{"nvidia,p3509-0000+p3636-0001"},
		ComputeCapability: ComputeCapability{6, 2}, CUDACores: 256, GPUMax: 1300 * MHz,
		MemoryBytes: 4 * GiB, FastPrecisions: precisionsNoINT8(),
		Peaks:  []Peak{{FP16, 1.33e12, "vendor's figure"}},
		Header: tx2NXHeader(), StatusPin: 12, L4T: []int{32},
		Notes: []string{"no fast INT8: quantise to fp16"},
		Sources: []Source{
			{[]Figure{OfPeaks}, Quoted, "adafruit/circuitpython-org#643, quoting NVIDIA"},
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfCores, OfGPUClock, OfMemory}, Quoted, "adafruit/circuitpython-org#643; " + refGuide},
			{[]Figure{OfFastPrecisions}, Unverified, refINT8},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

func xavierNX8GB() Board {
	return Board{
		ID: "jetson-xavier-nx-8gb", Name: "Jetson Xavier NX 8GB", SoC: "tegra194",
		Compatible: []string{
			"nvidia,p3509-0000+p3668-0000", "nvidia,p3509-0000+p3668-0001",
			"nvidia,p3449-0000+p3668-0000", "nvidia,p3449-0000+p3668-0001",
			"nvidia,p3509-0000-a00+p3668-0000-a01", "nvidia,p3509-0000-a00+p3668-0001-a01",
		},
		ComputeCapability: ComputeCapability{7, 2}, CUDACores: 384, TensorCores: 48, GPUMax: 1_109_250 * KHz,
		MemoryBytes: 8 * GiB, MemoryBandwidth: 59_700 * MBPerSecond, FastPrecisions: precisionsVolta(),
		Peaks:  []Peak{{INT8, 21e12, "GPU and both DLAs"}},
		Header: xavierNXHeader(), StatusPin: 12,
		PowerModes: []PowerMode{
			{ID: 0, Name: "MODE_15W_2CORE"}, {ID: 1, Name: "MODE_15W_4CORE"},
			{ID: 2, Name: "MODE_15W_6CORE", GPUCap: 1109 * MHz}, {ID: 3, Name: "MODE_10W_2CORE"},
			{ID: 4, Name: "MODE_10W_4CORE", GPUCap: 803 * MHz}, {ID: 5, Name: "MODE_10W_DESKTOP", GPUCap: 510 * MHz},
			{ID: 6, Name: "MODE_20W_2CORE", GPUCap: 1109 * MHz}, {ID: 7, Name: "MODE_20W_4CORE", GPUCap: 1109 * MHz},
			{ID: 8, Name: "MODE_20W_6CORE", GPUCap: 1109 * MHz},
		},
		L4T:   []int{32, 35},
		Notes: []string{"no MAXN mode: the fastest is id 8"},
		Sources: []Source{
			{[]Figure{OfPeaks}, Quoted, refGuide},
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfPowerModes, OfGPUClock}, ReadInSource, refNVPModel},
			{[]Figure{OfCores, OfMemory, OfBandwidth}, Quoted, refGuide},
			{[]Figure{OfFastPrecisions}, FieldReport, "INT8 beats FP16 in jkjung-avt/tensorrt_demos"},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

func xavierNX16GB() Board {
	b := xavierNX8GB()
	b.ID, b.Name, b.MemoryBytes = "jetson-xavier-nx-16gb", "Jetson Xavier NX 16GB", 16*GiB
	b.Compatible = []string{"nvidia,p3449-0000+p3668-0003"}
	b.Sources = append([]Source{
		{[]Figure{OfMemory}, ReadInSource, "jetson_stats jetson_variables.py: p3668-0003"},
		{[]Figure{OfBandwidth}, Unverified, "taken over from the 8 GB module"},
	}, b.Sources...)
	return b
}

func agxXavier() Board {
	return Board{
		ID: "jetson-agx-xavier", Name: "Jetson AGX Xavier", SoC: "tegra194",
		Compatible: []string{
			"nvidia,p2972-0000", "nvidia,p2972-0006", "nvidia,jetson-xavier",
			"nvidia,galen-industrial", "nvidia,jetson-xavier-industrial",
		},
		ComputeCapability: ComputeCapability{7, 2}, CUDACores: 512, TensorCores: 64, GPUMax: 1377 * MHz,
		MemoryBandwidth: 136_500 * MBPerSecond, FastPrecisions: precisionsVolta(),
		Peaks:  []Peak{{INT8, 32e12, "GPU and both DLAs"}},
		Header: agxXavierHeader(), StatusPin: 12,
		PowerModes: []PowerMode{
			{ID: 0, Name: "MAXN"}, {ID: 1, Name: "MODE_10W"}, {ID: 2, Name: "MODE_15W"},
			{ID: 3, Name: "MODE_30W_ALL"}, {ID: 4, Name: "MODE_30W_6CORE"}, {ID: 5, Name: "MODE_30W_4CORE"},
			{ID: 6, Name: "MODE_30W_2CORE"}, {ID: 7, Name: "MODE_15W_DESKTOP", Default: true},
		},
		L4T:   []int{32, 35},
		Notes: []string{"sold with 8 to 64 GB; cores, clock and bandwidth are those of the 32 GB module"},
		Sources: []Source{
			{[]Figure{OfPeaks}, Quoted, refGuide},
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfPowerModes}, ReadInSource, refNVPModel},
			{[]Figure{OfCores, OfGPUClock, OfBandwidth}, Quoted, refGuide},
			{[]Figure{OfFastPrecisions}, FieldReport, "kentaroy47/benchmark-FP32-FP16-INT8-with-TensorRT"},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

// orin lists both carriers of a p3767 module and the module's own string.
func orin(suffix string, skus ...string) (boards, modules []string) {
	for _, sku := range skus {
		for _, carrier := range []string{"p3768-0000", "p3509-0000"} {
			boards = append(boards, "nvidia,"+carrier+"+p3767-"+sku+suffix)
		}
		modules = append(modules, "nvidia,p3767-"+sku+suffix)
	}
	return boards, modules
}

// orinBase is what all Orin Nano and Orin NX boards share.
func orinBase(id, name string, memory Bytes, suffix string, skus ...string) Board {
	compatible, modules := orin(suffix, skus...)
	return Board{
		ID: id, Name: name, SoC: "tegra234", Compatible: compatible, ModuleCompatible: modules,
		ComputeCapability: ComputeCapability{8, 7}, MemoryBytes: memory, FastPrecisions: precisionsAmpere(),
		Header: orinHeader(), StatusPin: 12, L4T: []int{35, 36, 39},
		Notes: []string{"the header pad has to be muxed as GPIO output (jetson-io or an overlay), or writes have no effect"},
		Sources: []Source{
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfMemory}, ReadInSource, "jetson_stats jetson_variables.py module names"},
			{[]Figure{OfPowerModes}, ReadInSource, refNVPModel},
			{[]Figure{OfCores, OfGPUClock, OfBandwidth}, Quoted, refGuide},
			{[]Figure{OfFastPrecisions}, FieldReport, "INT8: published YOLO tables; TF32: unverified"},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

func orinNano8GB() Board {
	b := orinBase("jetson-orin-nano-8gb", "Jetson Orin Nano 8GB", 8*GiB, "", "0003", "0005")
	b.CUDACores, b.TensorCores, b.GPUMax = 1024, 32, 625*MHz
	b.MemoryBandwidth = 68_000 * MBPerSecond
	b.PowerModes = []PowerMode{{ID: 0, Name: "15W"}, {ID: 1, Name: "7W", GPUCap: 408 * MHz}}
	b.Peaks = []Peak{{FP16, 10e12, "vendor's figure"}, {INT8, 20e12, "dense"}}
	b.Sources = append(b.Sources, Source{[]Figure{OfPeaks}, Quoted, refGuide})
	return b
}

func orinNanoSuper() Board {
	b := orinBase("jetson-orin-nano-super", "Jetson Orin Nano Super 8GB", 8*GiB, "-super", "0003", "0005")
	b.CUDACores, b.TensorCores, b.GPUMax = 1024, 32, 1020*MHz
	b.MemoryBandwidth = 102_000 * MBPerSecond
	b.L4T = []int{36, 39}
	b.PowerModes = []PowerMode{
		{ID: 0, Name: "15W", GPUCap: 612 * MHz}, {ID: 1, Name: "25W", GPUCap: 918 * MHz, Default: true},
		{ID: 2, Name: "MAXN_SUPER"},
	}
	b.Notes = append(b.Notes, "power mode 0 is not the fastest: that is id 2")
	b.Peaks = []Peak{{FP16, 17e12, "vendor's figure"}, {INT8, 33e12, "dense"}}
	b.Sources = append(b.Sources, Source{[]Figure{OfPeaks}, Quoted, refGuide})
	return b
}

// orinNano4GB: cores, clock and bandwidth of the 4 GB module were not found.
func orinNano4GB() Board {
	b := orinBase("jetson-orin-nano-4gb", "Jetson Orin Nano 4GB", 4*GiB, "", "0004")
	b.PowerModes = []PowerMode{
		{ID: 0, Name: "10W"}, {ID: 1, Name: "7W_AI", GPUCap: 408 * MHz}, {ID: 2, Name: "7W_CPU", GPUCap: 306 * MHz},
	}
	return b
}

func orinNano4GBSuper() Board {
	b := orinBase("jetson-orin-nano-4gb-super", "Jetson Orin Nano Super 4GB", 4*GiB, "-super", "0004")
	b.L4T = []int{36, 39}
	return b
}

func orinNX16GB() Board {
	b := orinBase("jetson-orin-nx-16gb", "Jetson Orin NX 16GB", 16*GiB, "", "0000")
	b.CUDACores, b.TensorCores, b.GPUMax = 1024, 32, 918*MHz
	b.MemoryBandwidth = 102_400 * MBPerSecond
	b.PowerModes = []PowerMode{
		{ID: 0, Name: "MAXN"}, {ID: 1, Name: "10W", GPUCap: 612 * MHz}, {ID: 2, Name: "15W", GPUCap: 612 * MHz},
		{ID: 3, Name: "25W", GPUCap: 408 * MHz},
	}
	b.Peaks = []Peak{{INT8, 100e12, "sparse, GPU and both DLAs"}}
	b.Sources = append(b.Sources, Source{[]Figure{OfPeaks}, Quoted, refGuide})
	return b
}

// orinNX16GBSuper: only the cap of the 40W mode is known, not the clock of
// MAXN_SUPER.
func orinNX16GBSuper() Board {
	b := orinBase("jetson-orin-nx-16gb-super", "Jetson Orin NX Super 16GB", 16*GiB, "-super", "0000")
	b.CUDACores, b.TensorCores = 1024, 32
	b.MemoryBandwidth = 102_400 * MBPerSecond
	b.L4T = []int{36, 39}
	b.PowerModes = []PowerMode{
		{ID: 0, Name: "MAXN_SUPER"}, {ID: 1, Name: "10W"}, {ID: 2, Name: "15W"}, {ID: 3, Name: "25W"},
		{ID: 4, Name: "40W", GPUCap: 1173 * MHz, Default: true},
	}
	return b
}

func orinNX8GB() Board {
	b := orinBase("jetson-orin-nx-8gb", "Jetson Orin NX 8GB", 8*GiB, "", "0001")
	b.PowerModes = []PowerMode{
		{ID: 0, Name: "MAXN"}, {ID: 1, Name: "10W"}, {ID: 2, Name: "15W"}, {ID: 3, Name: "20W", GPUCap: 408 * MHz},
	}
	return b
}

func orinNX8GBSuper() Board {
	b := orinBase("jetson-orin-nx-8gb-super", "Jetson Orin NX Super 8GB", 8*GiB, "-super", "0001")
	b.L4T = []int{36, 39}
	return b
}

// agxOrin is the row of the development kit and of the modules whose memory
// the module number does not tell.
func agxOrin() Board {
	return Board{
		ID: "jetson-agx-orin", Name: "Jetson AGX Orin", SoC: "tegra234",
		Compatible: []string{
			"nvidia,p3737-0000+p3701-0000", "nvidia,p3737-0000+p3701-0001", "nvidia,p3737-0000+p3701-0008",
		},
		ModuleCompatible:  []string{"nvidia,p3701-0000", "nvidia,p3701-0001", "nvidia,p3701-0008"},
		ComputeCapability: ComputeCapability{8, 7}, FastPrecisions: precisionsAmpere(),
		Header: agxOrinHeader(), StatusPin: 12, L4T: []int{35, 36, 39},
		PowerModes: []PowerMode{
			{ID: 0, Name: "MAXN"}, {ID: 1, Name: "MODE_15W", GPUCap: 408 * MHz},
			{ID: 2, Name: "MODE_30W", GPUCap: 612 * MHz}, {ID: 3, Name: "MODE_50W", GPUCap: 816 * MHz},
		},
		Sources: []Source{
			{[]Figure{OfCompatible, OfHeader}, ReadInSource, jetsonGPIO},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfPowerModes}, ReadInSource, refNVPModel},
			{[]Figure{OfFastPrecisions}, Unverified, "same GPU family as Orin NX"},
			{[]Figure{OfL4T}, Quoted, refSupport},
		},
	}
}

func agxOrin32GB() Board {
	b := agxOrin()
	b.ID, b.Name, b.MemoryBytes = "jetson-agx-orin-32gb", "Jetson AGX Orin 32GB", 32*GiB
	b.Compatible = []string{"nvidia,p3737-0000+p3701-0004"}
	b.ModuleCompatible = []string{"nvidia,p3701-0004"}
	b.PowerModes = []PowerMode{
		{ID: 0, Name: "MAXN"}, {ID: 1, Name: "MODE_15W"}, {ID: 2, Name: "MODE_30W"}, {ID: 3, Name: "MODE_40W"},
	}
	b.Sources = append(b.Sources, Source{[]Figure{OfMemory}, ReadInSource, "jetson_stats jetson_variables.py: p3701-0004"})
	return b
}

func agxOrin64GB() Board {
	b := agxOrin()
	b.ID, b.Name, b.MemoryBytes = "jetson-agx-orin-64gb", "Jetson AGX Orin 64GB", 64*GiB
	b.Compatible = []string{"nvidia,p3737-0000+p3701-0005"}
	b.ModuleCompatible = []string{"nvidia,p3701-0005"}
	b.CUDACores, b.TensorCores, b.GPUMax = 2048, 64, 1300*MHz
	b.MemoryBandwidth = 204_800 * MBPerSecond
	b.Sources = append(b.Sources,
		Source{[]Figure{OfMemory}, ReadInSource, "jetson_stats jetson_variables.py: p3701-0005"},
		Source{[]Figure{OfCores, OfGPUClock, OfBandwidth}, Quoted, refGuide})
	b.Peaks = []Peak{{INT8, 275e12, "sparse, GPU and both DLAs"}}
	b.Sources = append(b.Sources, Source{[]Figure{OfPeaks}, Quoted, refGuide})
	return b
}

// agxThor: the development kit has no 40-pin header (NVIDIA/jetson-gpio#135).
func agxThor() Board {
	return Board{
		ID: "jetson-agx-thor", Name: "Jetson AGX Thor", SoC: "tegra264",
		Compatible: []string{
			"nvidia,p3971-0050+p3834-0008", "nvidia,p3971-0080+p3834-0008", "nvidia,p3971-0089+p3834-0008",
			"nvidia,p4071-0000+p3834-0008",
		},
		ModuleCompatible:  []string{"nvidia,p3834-0008"},
		ComputeCapability: ComputeCapability{11, 0}, L4T: []int{38, 39},
		Notes: []string{"the development kit has no 40-pin header"},
		Sources: []Source{
			{[]Figure{OfCompatible}, ReadInSource, jetsonGPIO + "; log in rbonghi/jetson_stats#711"},
			{[]Figure{OfCompute}, ReadInSource, refCompute},
			{[]Figure{OfL4T}, ReadInSource, "jetson_stats jetson_variables.py"},
		},
	}
}

func pi4() Board {
	return Board{
		ID: "raspberry-pi-4", Name: "Raspberry Pi 4 Model B", SoC: "bcm2711",
		Compatible: []string{"raspberrypi,4-model-b", "brcm,bcm2711"},
		Header:     piHeader("pinctrl-bcm2711"), StatusPin: 12,
		Notes: []string{"no CUDA GPU: inference runs on the CPU"},
		Sources: []Source{
			{[]Figure{OfCompatible}, FieldReport, "log in adafruit/Adafruit_Blinka#418"},
			{[]Figure{OfHeader}, Unverified, "BCM numbering; chip label from memory"},
		},
	}
}

func pi5() Board {
	return Board{
		ID: "raspberry-pi-5", Name: "Raspberry Pi 5", SoC: "bcm2712",
		Compatible: []string{"raspberrypi,5-model-b", "brcm,bcm2712"},
		Header:     piHeader("pinctrl-rp1"), StatusPin: 12,
		Notes: []string{"no CUDA GPU: inference runs on the CPU"},
		Sources: []Source{
			{[]Figure{OfCompatible}, FieldReport, "log in RetroPie/RetroPie-Setup#3823"},
			{[]Figure{OfHeader}, Unverified, "label attested by periph/host#65; BCM numbering from memory"},
		},
	}
}
