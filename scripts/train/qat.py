"""Quantisation-aware training for TensorRT's INT8: symmetric int8 activations (zero point 0), int8 weights per channel.

`prepare` puts fake quantisation before every convolution and on the skip input of residual sums, which is where
TensorRT wants it
(its guide's rules for explicit quantisation); biases and sums stay float. Activation steps minimise the squared
rounding error on
a few batches and stay fixed while the weights adapt. `insert` writes the same rounding as Q/DQ nodes into an FP32
ONNX file, so
any folded network of this folder serves: names of weights tie the two together.
"""

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

import model as lite0

LEVELS = 127


class QuantConv(nn.Conv2d):
    """A convolution that rounds its input by `step` and its weights by channel maxima before it computes."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
            conv.bias is not None,
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.register_buffer("step", torch.tensor(0.0))
        self.seen = []

    def forward(self, x):
        if self.step == 0:
            self.watch(x)
            return super().forward(x)
        scale = weight_scale(self.weight.detach())
        w = torch.fake_quantize_per_channel_affine(
            self.weight, scale, torch.zeros_like(scale, dtype=torch.int32), 0, -LEVELS, LEVELS
        )
        return self._conv_forward(rounded(x, self.step), w, self.bias)

    def watch(self, x, most=20000):
        """Keep a sample of the input's values for `settle`."""
        flat = x.detach().flatten()
        self.seen.append(flat[:: max(1, len(flat) // most)].clone())
        self.peak = max(getattr(self, "peak", 0), flat.abs().max().item())

    def settle(self):
        """Choose the step, of 40 between a third of the range and all of it, with the least squared error."""
        x = torch.cat(self.seen)
        steps = [self.peak * share / LEVELS for share in np.linspace(0.33, 1, 40)]
        errors = [((rounded(x, torch.tensor(s)) - x) ** 2).mean().item() for s in steps]
        self.step.fill_(steps[int(np.argmin(errors))])
        self.seen = []


def weight_scale(w):
    """float32 [out]: the largest weight of each output channel over 127."""
    return (w.abs().amax((1, 2, 3)) / LEVELS).clamp_min(1e-9)


def rounded(x, step):
    return torch.fake_quantize_per_tensor_affine(x, float(step), 0, -LEVELS - 1, LEVELS)


def prepare(net: nn.Module, skip=()) -> nn.Module:
    """Replace the convolutions of net in place, except those whose names are in skip."""
    for name, module in list(net.named_modules()):
        for child, conv in list(module.named_children()):
            full = f"{name}.{child}".lstrip(".")
            if type(conv) is nn.Conv2d and full not in skip:
                setattr(module, child, QuantConv(conv))
    for block in net.modules():
        if isinstance(block, lite0.Block) and block.residual:
            block.register_forward_pre_hook(round_entry)
    return net


def round_entry(block, inputs):
    """The skip input takes the rounding of the branch's first convolution."""
    conv = block.expand[0] if isinstance(block.expand, nn.Sequential) else block.depthwise[0]
    return (rounded(inputs[0], conv.step),) if conv.step > 0 else None


def settle(net):
    """Fix all steps after calibration batches went through net."""
    for conv in net.modules():
        if isinstance(conv, QuantConv):
            conv.settle()


def steps(net) -> dict:
    """Name of a convolution's weight -> step of its input."""
    return {f"{name}.weight": float(m.step) for name, m in net.named_modules() if isinstance(m, QuantConv)}


# --- ONNX -----------------------------------------------------------------------------------------------------------


class Writer:
    """Rewrites one graph."""

    def __init__(self, graph):
        self.graph, self.nodes, self.scales = graph, [], {}
        self.tensors = {t.name: t for t in graph.initializer}

    def constant(self, name, value):
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def activation(self, tensor, step):
        """The rounded version of tensor: one Q, and a DQ of its own for each reader."""
        if tensor not in self.scales:
            scale, zero = (
                self.constant(f"{tensor}_scale", np.float32(step)),
                self.constant(f"{tensor}_zero", np.int8(0)),
            )
            self.nodes.append(helper.make_node("QuantizeLinear", [tensor, scale, zero], [f"{tensor}_q"], f"{tensor}_Q"))
            self.scales[tensor] = (scale, zero, [])
        scale, zero, readers = self.scales[tensor]
        out = f"{tensor}_dq{len(readers)}"
        readers.append(out)
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{tensor}_q", scale, zero], [out], out))
        return out

    def weight(self, name):
        """name's values as int8 per output channel, dequantised."""
        w = numpy_helper.to_array(self.tensors[name])
        scale = weight_scale(torch.from_numpy(w.copy())).numpy()
        q = np.clip(np.rint(w / scale[:, None, None, None]), -LEVELS, LEVELS).astype(np.int8)
        inputs = [
            self.constant(f"{name}_int8", q),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero", np.zeros(len(scale), np.int8)),
        ]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}_dq"], f"{name}_DQ", axis=0))
        self.graph.initializer.remove(self.tensors[name])
        return f"{name}_dq"

    def rewrite(self, chosen):
        for node in list(self.graph.node):
            if node.op_type == "Conv" and node.input[1] in chosen:
                node.input[0] = self.activation(node.input[0], chosen[node.input[1]])
                node.input[1] = self.weight(node.input[1])
            elif (
                node.op_type == "Add" and node.input[0] in self.scales
            ):  # x + branch(x): x feeds the branch's first convolution
                node.input[0] = self.activation(node.input[0], None)
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)


def insert(proto: onnx.ModelProto, chosen: dict) -> onnx.ModelProto:
    """Q/DQ nodes for the convolutions in chosen (weight name -> step of the input), in place."""
    Writer(proto.graph).rewrite(chosen)
    return proto
