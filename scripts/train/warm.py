"""Start from shipped weights: read an exported FP32 classifier (batch norms folded) back into a trainable Lite0.

The exported graph holds each convolution with its batch norm folded in. `restore` puts a batch norm back behind
every convolution without changing what the network computes: it measures mean and variance of each convolution's
output on training pictures and sets gamma = sqrt(variance + eps), beta = bias + mean, so that later training and
pruning by gamma have something to work with.
"""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

import model as lite0
import prune


def folded(path: Path, classes: int) -> lite0.Lite0:
    """Lite0 with the weights of the exported file, pruned or not; batch norms are identities."""
    stored = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in onnx.load(path).graph.initializer}
    net = lite0.Lite0(classes)
    for i, block in enumerate(net.blocks):
        width = len(stored[f"blocks.{i}.depthwise.0.weight"])
        if width != block.depthwise[0].out_channels:
            prune.resize(block, width)
    lite0.fold_batchnorm(net.eval())
    net.load_state_dict({key: stored[key] for key in net.state_dict()})
    return net


@torch.no_grad()
def restore(net: nn.Module, pictures: torch.Tensor) -> nn.Module:
    """Put batch norms back into a folded net, in place; pictures float32 [B,3,H,W] normalised, B >= 64. Returns net in
    eval mode."""
    hooks = []
    for module in net.modules():
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[0], nn.Conv2d):
            conv = module[0]
            norm = nn.BatchNorm2d(conv.out_channels, **lite0.BN)
            bias = conv.bias.clone()
            conv.bias = None
            module[1] = norm
            hooks.append(conv.register_forward_hook(lambda _, __, y, norm=norm, bias=bias: measure(norm, bias, y)))
    net.eval()(pictures)
    for hook in hooks:
        hook.remove()
    return net


def measure(norm: nn.BatchNorm2d, bias: torch.Tensor, y: torch.Tensor):
    """Set norm so that it adds bias to y and changes nothing else."""
    mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False).clamp_min(1e-6)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(bias + mean)
