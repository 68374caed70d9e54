#!/bin/sh
# Writes onnx.pb.go, made from ../onnx.proto, into the directory given.
# Needs protoc; the Go plugin is built at the version that go.mod names.
set -eu
out=$1
plugin=$(mktemp -d)
trap 'rm -rf "$plugin"' EXIT
go build -o "$plugin/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
protoc --plugin="$plugin/protoc-gen-go" --proto_path=.. \
	--go_out="$out" --go_opt=paths=source_relative \
	--go_opt=Monnx.proto=emberwing/quant/onnx/onnxpb onnx.proto
