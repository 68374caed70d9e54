package onnx_test

import (
	"fmt"

	"emberwing/quant/onnx"
)

func ExampleReadFile() {
	m, err := onnx.ReadFile("testdata/conv.onnx", onnx.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Graph().Inputs(), "->", m.Graph().Outputs())
	for _, n := range m.Graph().Nodes() {
		fmt.Println(n.Op(), n.Inputs(), "->", n.Outputs())
	}
	// Output:
	// [x: float[batch,1,4,4]] -> [y: float[batch,2]]
	// Conv [x w b] -> [c]
	// Relu [c] -> [r]
	// GlobalAveragePool [r] -> [p]
	// Flatten [p] -> [y]
}
