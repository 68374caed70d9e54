"""The fire family's networks: EfficientNet-Lite0 and cuts of it, with batch norms folded into the convolutions
before fine-tuning.

Folding first costs nothing on a small data set (the ImageNet statistics stay), trains half as fast again on a CPU, and
makes the trained weights the ones that ship: an FP32 ONNX file is a checkpoint, and `--init` takes it.

A network gives logits [B,3], features [B,K] (a fixed linear projection of the pooled vector, for the
out-of-distribution score) and cam [B,3,h,w] (the classifier applied at every place of the last feature map; its mean
plus the bias is the logits).
"""

from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import nn

import model as lite0


@dataclass(frozen=True)
class Arch:
    """blocks: how many of the trunk's blocks are kept (Lite0 has 16, Lite1 21); head: channels of the last 1x1
    convolution; size: input side in pixels; depth: the trunk."""

    blocks: int
    head: int
    size: int
    depth: str = "lite0"


ARCHS = {
    "fire": Arch(16, 1280, 224),
    "fire-nano": Arch(12, 512, 176),
    "fire-gate": Arch(6, 96, 96),
    "lite1": Arch(21, 1280, 224, "lite1"),  # for `train front` only
}
FEATURES = 32
CLASSES = 3


class Classifier(nn.Module):
    """Input float32 [B,3,S,S], normalised as preprocess.py does; output logits float32 [B,CLASSES]."""

    def __init__(self, arch: Arch, dropout=0.2):
        super().__init__()
        whole = lite0.pretrained(1, depth=arch.depth)
        self.stem, self.blocks = whole.stem, whole.blocks[: arch.blocks]
        width = self.blocks[-1].project[0].out_channels
        self.head = whole.head if arch.head == 1280 and width == 320 else lite0.conv_bn(width, arch.head)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(arch.head, CLASSES)
        lite0.fold_batchnorm(self.eval())

    def maps(self, x):
        """The last feature map, [B,head,h,w]."""
        return self.head(self.blocks(self.stem(x)))

    def forward(self, x):
        return self.fc(self.dropout(self.maps(x).mean((2, 3))))


class Deployed(nn.Module):
    """A trained classifier as it ships: three outputs."""

    def __init__(self, net: Classifier, projection):
        super().__init__()
        self.stem, self.blocks, self.head, self.fc = net.stem, net.blocks, net.head, net.fc
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.project = nn.Linear(*reversed(projection.shape), bias=False)
        self.project.weight.data = projection
        self.cam = nn.Conv2d(net.fc.in_features, CLASSES, 1, bias=False)
        self.cam.weight.data = net.fc.weight.data[:, :, None, None].clone()

    def forward(self, x):
        maps = self.head(self.blocks(self.stem(x)))
        pooled = self.pool(maps).flatten(1)
        return self.fc(pooled), self.project(pooled), self.cam(maps)


class Segmenter(nn.Module):
    """Lite0 up to stride 16 and a light top-down path; input [B,3,224,224], output logits [B,2,56,56] (flame,
    smoke)."""

    def __init__(self, blocks=11, width=48):
        super().__init__()
        whole = lite0.pretrained(1)
        self.stem, self.blocks = whole.stem, whole.blocks[:blocks]
        self.deep = lite0.conv_bn(whole.blocks[blocks - 1].project[0].out_channels, width)
        self.middle, self.fine = lite0.conv_bn(40, width), lite0.conv_bn(24, width)
        self.smooth = nn.ModuleList(
            nn.Sequential(lite0.conv_bn(width, width, 3, groups=width), lite0.conv_bn(width, width)) for _ in range(3)
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.Conv2d(width, 2, 1)
        lite0.fold_batchnorm(self.eval())

    def forward(self, x):
        x, steps = self.stem(x), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in (2, 4):  # the last blocks at strides 4 and 8
                steps.append(x)
        x = self.smooth[0](self.deep(x))
        x = self.smooth[1](self.up(x) + self.middle(steps[1]))
        return self.last(self.smooth[2](self.up(x) + self.fine(steps[0])))


def weights(path: Path) -> dict:
    """The averaged weights of a checkpoint (.pt), or the tensors of a shipped FP32 model (.onnx)."""
    if Path(path).suffix == ".onnx":
        # tensor data are copied: protobuf's buffers are read-only
        graph = onnx.load(path).graph
        return {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in graph.initializer}
    return torch.load(path, weights_only=True, map_location="cpu")["average"]


def load(net: nn.Module, path: Path, strict=False) -> list:
    """Copy weights whose names and shapes fit; returns the names left alone."""
    state = weights(path)
    own = net.state_dict()
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    left = sorted(set(own) - set(fits))
    if strict and left:
        raise ValueError(f"{path}: no fitting weights for {', '.join(left[:5])}")
    net.load_state_dict(fits, strict=False)
    return left


def soup(paths) -> dict:
    """The mean of several checkpoints' weights (Wortsman et al. 2022, arXiv:2203.05482); a path given twice counts
    twice."""
    states = [weights(p) for p in paths]
    shared = set.intersection(*map(set, states))  # a shipped file holds more than a run trains
    return {k: sum(s[k] for s in states) / len(states) for k in states[0] if k in shared}


def parameters(net) -> int:
    return sum(p.numel() for p in net.parameters())
