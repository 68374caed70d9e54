#!/usr/bin/env python3
"""Writes the tiny classifier that tests run, in a few variants.

    python3 make.py        (needs onnx and numpy)

logits = mean over H and W of the input, times W, plus B; see W and B below.
The files beside the manifest are good; those in bad/ each have one fault.
"""

import hashlib
import json
import pathlib

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

HERE = pathlib.Path(__file__).parent
W = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]], np.float32).T
B = np.array([0, 0.5, 0, 1], np.float32)


def init(name, a):
    return nh.from_array(np.asarray(a), name)


def nodes_fp32(x):
    return [
        h.make_node("GlobalAveragePool", [x], ["pooled"]),
        h.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        h.make_node("Gemm", ["flat", "W", "B"], ["logits"]),
    ], [init("W", W), init("B", B)]


def nodes_int8():
    """QDQ around the pooled values and the weights, symmetric."""
    ws, xs = np.float32(1 / 127), np.float32(4 / 127)
    inits = [
        init("Wq", np.round(W / ws).astype(np.int8)), init("B", B), init("ws", ws),
        init("wz", np.int8(0)), init("xs", xs), init("xz", np.int8(0)),
    ]
    return [
        h.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        h.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        h.make_node("QuantizeLinear", ["flat", "xs", "xz"], ["flat_q"]),
        h.make_node("DequantizeLinear", ["flat_q", "xs", "xz"], ["flat_dq"]),
        h.make_node("DequantizeLinear", ["Wq", "ws", "wz"], ["W"]),
        h.make_node("Gemm", ["flat_dq", "W", "B"], ["logits"]),
    ], inits


def nodes_fragile():
    """Picks a row of a table by the mean of the input: 2 and above fail."""
    return [
        h.make_node("ReduceMean", ["input"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
        h.make_node("Cast", ["mean"], ["index"], to=T.INT64),
        h.make_node("Reshape", ["index", "one"], ["row"]),
        h.make_node("Gather", ["table", "row"], ["logits"], axis=0),
    ], [init("one", np.array([1], np.int64)), init("table", np.eye(2, 4, dtype=np.float32))]


def write(path, nodes, inits, size=8, dtype=T.FLOAT, opset=13, ir=7, name="input"):
    graph = h.make_graph(
        nodes, "tiny",
        [h.make_tensor_value_info(name, dtype, [1, 3, size, size])],
        [h.make_tensor_value_info("logits", T.FLOAT, [1, 4])], inits)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], producer_name="emberwing-tiny")
    model.ir_version = ir
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def variant(precision):
    data = (HERE / f"tiny-{precision}.onnx").read_bytes()
    return {
        "precision": precision, "file": f"tiny-{precision}.onnx",
        "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
        "temperature": 1.5, "threshold": 0.6,
    }


def main():
    write(HERE / "tiny-fp32.onnx", *nodes_fp32("input"))
    write(HERE / "tiny-int8.onnx", *nodes_int8())
    write(HERE / "bad/shape.onnx", *nodes_fp32("input"), size=4)
    write(HERE / "bad/opset.onnx", *nodes_fp32("input"), opset=99)
    write(HERE / "bad/ir.onnx", *nodes_fp32("input"), ir=99)
    write(HERE / "bad/name.onnx", *nodes_fp32("pixels"), name="pixels")
    cast, inits = nodes_fp32("x32")
    cast.insert(0, h.make_node("Cast", ["input"], ["x32"], to=T.FLOAT))
    write(HERE / "bad/dtype.onnx", cast, inits, dtype=T.DOUBLE)
    unknown, inits = nodes_fp32("input")
    unknown[1] = h.make_node("NoSuchOperator", ["pooled"], ["flat"])
    write(HERE / "bad/operator.onnx", unknown, inits)
    write(HERE / "bad/run.onnx", *nodes_fragile())
    manifest = {
        "name": "tiny", "task": "fire", "version": "1.0.0",
        "description": "Mean colour of a frame, for tests.", "licence": "Apache-2.0",
        "labels": ["red", "green", "blue", "dark"],
        "input": {"name": "input", "shape": [1, 3, 8, 8], "dtype": "float32", "layout": "nchw",
                  "order": "rgb", "fit": "stretch", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        "output": {"name": "logits", "shape": [1, 4], "kind": "logits"},
        "alarm": {"labels": ["red", "green"]},
        "variants": [variant("fp32"), variant("int8")],
        "decision": {"window": 5, "agree": 3, "release": 0.4, "dwell_seconds": 0, "ignore": ["dark"]},
    }
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


main()
