// Package models embeds the models that ship with Emberwing: a folder for each
// model, with its manifest.json and the ONNX files that it names.
package models

import (
	"embed"

	"emberwing/infer"
)

// FS holds the embedded models, for infer.Load and infer.Resolve. Only the
// embed directive sets it.
//
//go:embed fire fire-nano fire-gate fire-seg gesture hand
var FS embed.FS

// List returns the names of the embedded models, sorted.
func List() []string { return infer.ModelNames(FS) }
