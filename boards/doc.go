// Package boards says what machine a drone computer is and what that machine
// can do: which precisions its GPU runs fast, how much memory it has, where a
// status output sits on its header, which JetPack it runs.
//
// [Table] is data with the source of every figure; a figure nobody could
// confirm is either marked [Unverified] or left zero, and zero always means
// unknown. [Detect] reads a file system rooted at "/" (os.DirFS("/") on a
// board, a captured tree in a test) and finds the row that fits.
//
// Sub-packages: sysfs reads temperatures, power, clocks and memory; gpio
// drives one status output; boardstest holds a fake output and the contract
// every output has to keep.
package boards
