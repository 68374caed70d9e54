// Package sysfs reads the sensors of a board from the files of its kernel:
// temperatures, power rails, GPU load and clock, memory, the CPU's model
// and features, and the power mode of a Jetson.
//
// Every function takes a file system rooted at "/". Three things that look
// alike to a careless reader are kept apart: a sensor that the machine does
// not have ([ErrAbsent]), one that has no reading now, such as a zone that is
// powered down ([ErrNoData]), and one that this user may not read
// (fs.ErrPermission, with a hint). None of them is ever reported as zero.
//
// The functions neither cache nor start goroutines; call them at the rate the
// readings are wanted.
package sysfs
