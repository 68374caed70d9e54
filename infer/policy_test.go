package infer_test

import (
	"errors"
	"strings"
	"testing"

	"emberwing/infer"
	"emberwing/infer/infertest"
)

func TestChoose(t *testing.T) {
	nano := infer.Capability{Board: "jetson-nano", Fast: []infer.Precision{infer.FP32, infer.FP16}}
	orin := infer.Capability{Board: "orin-nano", Fast: []infer.Precision{infer.FP32, infer.FP16, infer.INT8}}
	old := infer.Capability{Fast: []infer.Precision{infer.FP32}}
	var unknown infer.Capability
	const fp16File = true
	tests := []struct {
		requested infer.Precision
		on        infer.Provider
		board     infer.Capability
		fp16      bool // the model has an fp16 file
		effective infer.Precision
		file      infer.Precision
		offered   infer.Precision // of the refusal
	}{
		{infer.FP32, infer.CPU, unknown, false, infer.FP32, infer.FP32, ""},
		{infer.FP32, infer.TensorRT, nano, false, infer.FP32, infer.FP32, ""},
		{infer.FP16, infer.CPU, nano, false, infer.FP32, infer.FP32, ""},
		{infer.FP16, infer.CPU, nano, fp16File, infer.FP32, infer.FP32, ""},
		{infer.FP16, infer.TensorRT, nano, false, infer.FP16, infer.FP32, ""},
		{infer.FP16, infer.TensorRT, nano, fp16File, infer.FP16, infer.FP16, ""},
		{infer.FP16, infer.CUDA, nano, false, infer.FP32, infer.FP32, ""},
		{infer.FP16, infer.CUDA, nano, fp16File, infer.FP16, infer.FP16, ""},
		{infer.FP16, infer.TensorRT, old, false, "", "", infer.FP32},
		{infer.INT8, infer.CPU, nano, false, infer.INT8, infer.INT8, ""},
		{infer.INT8, infer.TensorRT, nano, false, "", "", infer.FP16},
		{infer.INT8, infer.CUDA, nano, false, "", "", infer.FP16},
		{infer.INT8, infer.TensorRT, old, false, "", "", infer.FP32},
		{infer.INT8, infer.TensorRT, orin, false, infer.INT8, infer.INT8, ""},
		{infer.INT8, infer.TensorRT, unknown, false, infer.INT8, infer.INT8, ""},
		{infer.INT8, infer.CUDA, orin, false, infer.FP32, infer.FP32, ""},
	}
	for _, tt := range tests {
		m := infertest.Tiny(t).Manifest
		if tt.fp16 {
			m.Variants = append(m.Variants, infer.Variant{Precision: infer.FP16})
		}
		c, err := infer.Choose(&m, tt.requested, "", tt.on, tt.board)
		var refused *infer.PrecisionError
		if tt.offered != "" {
			if !errors.As(err, &refused) || refused.Offered != tt.offered || !errors.Is(err, infer.ErrPrecision) {
				t.Errorf("%+v: got %v", tt, err)
			}
			continue
		}
		reason := c.Reason != ""
		if err != nil || c.Effective != tt.effective || c.Variant.Precision != tt.file || reason != (tt.effective != tt.requested) {
			t.Errorf("%+v: got %+v, %v", tt, c, err)
		}
	}
}

func TestChooseNamesTheReason(t *testing.T) {
	nano := infer.Capability{Board: "jetson-nano", Fast: []infer.Precision{infer.FP16}}
	_, err := infer.Choose(&infertest.Tiny(t).Manifest, infer.INT8, "", infer.TensorRT, nano)
	const want = "choose precision int8 on tensorrt: precision is refused: the GPU of jetson-nano has no fast int8 (request fp16 instead)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestChooseWithoutVariant(t *testing.T) {
	m := infertest.Tiny(t).Manifest
	m.Variants = m.Variants[:1]
	_, err := infer.Choose(&m, infer.INT8, "", infer.CPU, infer.Capability{})
	if !errors.Is(err, infer.ErrVariant) || !strings.Contains(err.Error(), "one of fp32") {
		t.Errorf("got %v, want %v", err, infer.ErrVariant)
	}
	if _, err := infer.Choose(&m, "int4", "", infer.CPU, infer.Capability{}); !errors.Is(err, infer.ErrOptions) {
		t.Errorf("got %v, want %v", err, infer.ErrOptions)
	}
}
