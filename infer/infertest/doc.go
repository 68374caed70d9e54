// Package infertest helps to test users and implementations of infer.Session:
// a tiny real model, a fake session that can be told to fail, and the contract
// suite that every implementation passes.
package infertest
