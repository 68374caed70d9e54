// Package bench compares the modes of one model: what each costs in accuracy
// against FP32 and gains in speed.
//
// It holds the statistics, the interleaved measurement, the records with their
// JSON schema ([Schema]), the table, the Pareto picture and the comparison of
// two runs. It opens no model and reads no file: the caller hands it functions
// that run one query, and facts of the machine.
//
// Three rules shape it. A speed is never shown without its accuracy; a record
// without one says why and is marked "speed only". Modes take turns within one
// run, and speeds are compared as ratios of the same turn, because a machine
// that others use too changes from minute to minute. Every difference comes with an
// interval: of paired answers to the same pictures, or of the ratios of turns.
package bench
