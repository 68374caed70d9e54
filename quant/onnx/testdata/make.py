"""Writes the small models of this folder with the Python packages onnx and torch.

    python make.py            (onnx 1.23.2, torch for torch_export.onnx)
"""
import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nph


def save(name, graph, ir=7, opset=13, **kw):
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], **kw)
    model.ir_version = ir
    onnx.checker.check_model(model)
    onnx.save(model, name)


x = h.make_tensor_value_info("x", T.FLOAT, ["batch", 1, 4, 4])
y = h.make_tensor_value_info("y", T.FLOAT, ["batch", 2])
w = nph.from_array(np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3) / 8, "w")
b = nph.from_array(np.array([0.5, -0.5], np.float32), "b")
save("conv.onnx", h.make_graph([
    h.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1], group=1),
    h.make_node("Relu", ["c"], ["r"], "relu"),
    h.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
    h.make_node("Flatten", ["p"], ["y"], "flatten", axis=1),
], "conv", [x], [y], [w, b]), producer_name="make.py", doc_string="a tiny network")

kinds = [
    nph.from_array(np.array([1, -2, 3], np.int8), "i8"),
    nph.from_array(np.array([1, 200, 255], np.uint8), "u8"),
    nph.from_array(np.array([1.5, -0.25, 65504], np.float16), "f16"),
    nph.from_array(np.array([1.5, -2.5], np.float64), "f64"),
    nph.from_array(np.array([-1, 2**40], np.int64), "i64"),
    nph.from_array(np.array(7, np.int32), "scalar"),
    h.make_tensor("list_i8", T.INT8, [2], [-128, 127]),
    h.make_tensor("list_f", T.FLOAT, [2, 2], [1, 2, 3, 4]),
    h.make_tensor("list_bf16", T.BFLOAT16, [2], [1.0, -2.0]),
    h.make_tensor("empty", T.FLOAT, [0], []),
]
save("tensors.onnx", h.make_graph(
    [h.make_node("Identity", [t.name], ["out_" + t.name]) for t in kinds], "tensors", [],
    [h.make_tensor_value_info("out_" + t.name, t.data_type, list(t.dims)) for t in kinds], kinds))

then = h.make_graph([h.make_node("Add", ["a", "a"], ["t"])], "then", [], [h.make_tensor_value_info("t", T.FLOAT, [1])])
other = h.make_graph([h.make_node("Neg", ["a"], ["e"])], "else", [], [h.make_tensor_value_info("e", T.FLOAT, [1])])
save("if.onnx", h.make_graph(
    [h.make_node("If", ["cond"], ["out"], "branch", then_branch=then, else_branch=other)], "if",
    [h.make_tensor_value_info("cond", T.BOOL, []), h.make_tensor_value_info("a", T.FLOAT, [1])],
    [h.make_tensor_value_info("out", T.FLOAT, [1])]))

external = nph.from_array(np.ones(4, np.float32), "w")
external.ClearField("raw_data")
external.data_location = T.EXTERNAL
for k, v in (("location", "weights.bin"), ("offset", "0"), ("length", "16")):
    external.external_data.add(key=k, value=v)
graph = h.make_graph([h.make_node("Add", ["x", "w"], ["y"])], "external",
                     [h.make_tensor_value_info("x", T.FLOAT, [4])], [h.make_tensor_value_info("y", T.FLOAT, [4])], [external])
onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=7), "external.onnx")

try:
    import torch

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU6(),
                              torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 3)).eval()
    torch.onnx.export(net, torch.zeros(1, 3, 8, 8), "torch_export.onnx", opset_version=13, dynamo=False,
                      input_names=["input"], output_names=["logits"])
except ImportError as err:
    print("without torch:", err)
