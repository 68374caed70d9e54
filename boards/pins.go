package boards

// Line offsets of the Jetson headers are those of NVIDIA's Jetson.GPIO,
// lib/python/Jetson/GPIO/gpio_pin_data.py, under this notice:
//
// Copyright (c) 2018-2023, NVIDIA CORPORATION. All rights reserved.
// Permission is hereby granted, free of charge, to any person obtaining a
// copy of this software and associated documentation files (the "Software"),
// to deal in the Software without restriction, including without limitation
// the rights to use, copy, modify, merge, publish, distribute, sublicense,
// and/or sell copies of the Software, and to permit persons to whom the
// Software is furnished to do so, subject to the following conditions:
// The above copyright notice and this permission notice shall be included in
// all copies or substantial portions of the Software.
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
// IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
// FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.  IN NO EVENT SHALL
// THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
// LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING
// FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
// DEALINGS IN THE SOFTWARE.

// jetsonGPIO is the reference for the header tables below.
const jetsonGPIO = "NVIDIA/jetson-gpio gpio_pin_data.py (MIT)"

// on builds the pins of one chip from pin, offset pairs without line names.
func on(chip string, pairs ...[2]int) []HeaderPin {
	pins := make([]HeaderPin, len(pairs))
	for i, p := range pairs {
		pins[i] = HeaderPin{p[0], Line{Chip: chip, Offset: p[1]}}
	}
	return pins
}

// named is one pin of a chip whose kernel names its lines.
func named(pin int, chip string, offset int, name string) HeaderPin {
	return HeaderPin{pin, Line{chip, offset, name}}
}

// nanoHeader: L4T's 4.9 kernel names no lines.
func nanoHeader() []HeaderPin {
	return on("tegra-gpio",
		[2]int{7, 216}, [2]int{11, 50}, [2]int{12, 79}, [2]int{13, 14}, [2]int{15, 194}, [2]int{16, 232},
		[2]int{18, 15}, [2]int{19, 16}, [2]int{21, 17}, [2]int{22, 13}, [2]int{23, 18}, [2]int{24, 19},
		[2]int{26, 20}, [2]int{29, 149}, [2]int{31, 200}, [2]int{32, 168}, [2]int{33, 38}, [2]int{35, 76},
		[2]int{36, 51}, [2]int{37, 12}, [2]int{38, 77}, [2]int{40, 78})
}

// tx2Header leaves out pin 16 (input only), pin 26 (absent), and pins 15 and
// 22, which sit on an I2C expander.
func tx2Header() []HeaderPin {
	pins := on("tegra-gpio",
		[2]int{7, 76}, [2]int{11, 146}, [2]int{12, 72}, [2]int{13, 77}, [2]int{18, 161}, [2]int{19, 109},
		[2]int{21, 108}, [2]int{23, 107}, [2]int{24, 110}, [2]int{29, 78}, [2]int{33, 69}, [2]int{35, 75},
		[2]int{37, 68}, [2]int{38, 74}, [2]int{40, 73})
	return append(pins, on("tegra-gpio-aon", [2]int{31, 42}, [2]int{32, 41})...)
}

func tx2NXHeader() []HeaderPin {
	pins := on("tegra-gpio",
		[2]int{7, 76}, [2]int{12, 72}, [2]int{15, 18}, [2]int{16, 19}, [2]int{19, 58}, [2]int{21, 57},
		[2]int{23, 56}, [2]int{24, 59}, [2]int{26, 163}, [2]int{29, 105}, [2]int{35, 75}, [2]int{38, 74},
		[2]int{40, 73})
	return append(pins, on("tegra-gpio-aon",
		[2]int{11, 28}, [2]int{13, 17}, [2]int{18, 20}, [2]int{22, 18}, [2]int{31, 50}, [2]int{32, 8},
		[2]int{33, 13}, [2]int{36, 29}, [2]int{37, 19})...)
}

func xavierNXHeader() []HeaderPin {
	const main, aon = "tegra194-gpio", "tegra194-gpio-aon"
	return []HeaderPin{
		named(7, main, 118, "PS.04"), named(11, main, 112, "PR.04"), named(12, main, 127, "PT.05"),
		named(13, main, 149, "PY.00"), named(15, aon, 16, "PCC.04"), named(16, main, 153, "PY.04"),
		named(18, main, 152, "PY.03"), named(19, main, 162, "PZ.05"), named(21, main, 161, "PZ.04"),
		named(22, main, 150, "PY.01"), named(23, main, 160, "PZ.03"), named(24, main, 163, "PZ.06"),
		named(26, main, 164, "PZ.07"), named(29, main, 105, "PQ.05"), named(31, main, 106, "PQ.06"),
		named(32, main, 108, "PR.00"), named(33, main, 84, "PN.01"), named(35, main, 130, "PU.00"),
		named(36, main, 113, "PR.05"), named(37, main, 151, "PY.02"), named(38, main, 129, "PT.07"),
		named(40, main, 128, "PT.06"),
	}
}

// agxXavierHeader leaves out pin 36 (input only, due to the base board).
func agxXavierHeader() []HeaderPin {
	const main, aon = "tegra194-gpio", "tegra194-gpio-aon"
	return []HeaderPin{
		named(7, main, 106, "PQ.06"), named(11, main, 112, "PR.04"), named(12, main, 51, "PH.07"),
		named(13, main, 108, "PR.00"), named(15, main, 84, "PN.01"), named(16, aon, 8, "PBB.00"),
		named(18, main, 44, "PH.00"), named(19, main, 162, "PZ.05"), named(21, main, 161, "PZ.04"),
		named(22, main, 101, "PQ.01"), named(23, main, 160, "PZ.03"), named(24, main, 163, "PZ.06"),
		named(26, main, 164, "PZ.07"), named(29, aon, 3, "PAA.03"), named(31, aon, 2, "PAA.02"),
		named(32, aon, 9, "PBB.01"), named(33, aon, 0, "PAA.00"), named(35, main, 54, "PI.02"),
		named(37, aon, 1, "PAA.01"), named(38, main, 53, "PI.01"), named(40, main, 52, "PI.00"),
	}
}

// orinHeader is shared by Orin Nano and Orin NX on the p3768 carrier.
func orinHeader() []HeaderPin {
	const main = "tegra234-gpio"
	return []HeaderPin{
		named(7, main, 144, "PAC.06"), named(11, main, 112, "PR.04"), named(12, main, 50, "PH.07"),
		named(13, main, 122, "PY.00"), named(15, main, 85, "PN.01"), named(16, main, 126, "PY.04"),
		named(18, main, 125, "PY.03"), named(19, main, 135, "PZ.05"), named(21, main, 134, "PZ.04"),
		named(22, main, 123, "PY.01"), named(23, main, 133, "PZ.03"), named(24, main, 136, "PZ.06"),
		named(26, main, 137, "PZ.07"), named(29, main, 105, "PQ.05"), named(31, main, 106, "PQ.06"),
		named(32, main, 41, "PG.06"), named(33, main, 43, "PH.00"), named(35, main, 53, "PI.02"),
		named(36, main, 113, "PR.05"), named(37, main, 124, "PY.02"), named(38, main, 52, "PI.01"),
		named(40, main, 51, "PI.00"),
	}
}

func agxOrinHeader() []HeaderPin {
	const main, aon = "tegra234-gpio", "tegra234-gpio-aon"
	return []HeaderPin{
		named(7, main, 106, "PQ.06"), named(11, main, 112, "PR.04"), named(12, main, 50, "PH.07"),
		named(13, main, 108, "PR.00"), named(15, main, 85, "PN.01"), named(16, aon, 9, "PBB.01"),
		named(18, main, 43, "PH.00"), named(19, main, 135, "PZ.05"), named(21, main, 134, "PZ.04"),
		named(22, main, 96, "PP.04"), named(23, main, 133, "PZ.03"), named(24, main, 136, "PZ.06"),
		named(26, main, 137, "PZ.07"), named(29, aon, 1, "PAA.01"), named(31, aon, 0, "PAA.00"),
		named(32, aon, 8, "PBB.00"), named(33, aon, 2, "PAA.02"), named(35, main, 53, "PI.02"),
		named(36, main, 113, "PR.05"), named(37, aon, 3, "PAA.03"), named(38, main, 52, "PI.01"),
		named(40, main, 51, "PI.00"),
	}
}

// piHeader: on a Raspberry Pi the line offset is the BCM number of the pin.
func piHeader(chip string) []HeaderPin {
	return on(chip,
		[2]int{7, 4}, [2]int{11, 17}, [2]int{12, 18}, [2]int{13, 27}, [2]int{15, 22}, [2]int{16, 23},
		[2]int{18, 24}, [2]int{19, 10}, [2]int{21, 9}, [2]int{22, 25}, [2]int{23, 11}, [2]int{24, 8},
		[2]int{26, 7}, [2]int{29, 5}, [2]int{31, 6}, [2]int{32, 12}, [2]int{33, 13}, [2]int{35, 19},
		[2]int{36, 16}, [2]int{37, 26}, [2]int{38, 20}, [2]int{40, 21})
}
