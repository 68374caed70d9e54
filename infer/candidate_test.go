package infer_test

import (
	"errors"
	"io/fs"
	"testing"

	"emberwing/infer"
	"emberwing/infer/models"
)

func TestWithFile(t *testing.T) {
	fire, err := infer.Resolve(models.FS, "fire")
	if err != nil {
		t.Fatal(err)
	}
	v, err := fire.Variant(infer.INT8)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fire.Bytes(v)
	if err != nil {
		t.Fatal(err)
	}
	before := len(fire.Variants)
	c, err := fire.WithFile(infer.Variant{Precision: infer.INT8, File: "other.onnx", Temperature: 2, Threshold: 0.4}, data)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Variants[0]
	if len(c.Variants) != 1 || got.SHA256 != v.SHA256 || got.Bytes != v.Bytes || got.Temperature != 2 || len(fire.Variants) != before {
		t.Errorf("got %+v, and the original has %d variants", c.Variants, len(fire.Variants))
	}
	if again, err := c.Bytes(got); err != nil || len(again) != len(data) {
		t.Errorf("read back: %d bytes, %v", len(again), err)
	}
	if _, err := c.Companion("gate"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("companion of a lone model: got %v, want fs.ErrNotExist", err)
	}
	gesture, err := infer.Resolve(models.FS, "gesture")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gesture.WithFile(infer.Variant{File: "fire.onnx"}, data); !errors.Is(err, infer.ErrShape) {
		t.Errorf("a fire file as gesture: got %v, want ErrShape", err)
	}
	if _, err := fire.WithFile(infer.Variant{File: "x.onnx"}, data[:100]); !errors.Is(err, infer.ErrTruncated) && !errors.Is(err, infer.ErrModel) {
		t.Errorf("a part of a file: got %v", err)
	}
}
