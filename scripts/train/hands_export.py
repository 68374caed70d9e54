"""Export the hand localiser or the gesture classifier: ONNX files, temperatures, thresholds, statistics, and the
manifest.

Written models: opset 13, IR 8, batch 1. gesture: logits [1,11], features [1,32], cam [1,11,5,5]. hand: boxes
[1,1008,5], each row cx, cy, w, h as shares of the picture and a logit. Variants: fp32; int8 for a CPU (uint8
activations with a zero point, which absorbs ReLU6, int8 weights per channel, calibrated); int8 for TensorRT
(symmetric, after quantisation-aware training, --qat).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

import export
import fire_stats
import gesture
import hand
import hands
import model as lite0
import preprocess
import prune
import qat

FEATURES = 32
TEXT = {
    "gesture": "Hand signals in a hand crop of 160x160: EfficientNet-Lite0. The localiser `hand` finds the hand. "
    "Trained largely on HaGRID (attribution, share-alike). See MODEL_CARD.md.",
    "hand": "Where hands are in a frame of 288x224, squashed: one stage, nine pruned blocks of EfficientNet-Lite0. "
    "Trained on composed scenes with hands largely of HaGRID (attribution, share-alike). See MODEL_CARD.md.",
}


class Gesture(nn.Module):
    """The classifier as it ships: three outputs."""

    def __init__(self, net: lite0.Lite0, projection):
        super().__init__()
        self.stem, self.blocks, self.head, self.fc, self.pool = (
            net.stem,
            net.blocks,
            net.head,
            net.fc,
            nn.AdaptiveAvgPool2d(1),
        )
        self.project = nn.Linear(*reversed(projection.shape), bias=False)
        self.project.weight.data = torch.from_numpy(projection)
        self.cam = nn.Conv2d(net.fc.in_features, net.fc.out_features, 1, bias=False)
        self.cam.weight.data = net.fc.weight.data[:, :, None, None].clone()

    def forward(self, x):
        maps = self.head(self.blocks(self.stem(x)))
        pooled = self.pool(maps).flatten(1)
        return self.fc(pooled), self.project(pooled), self.cam(maps)


class Decode(nn.Module):
    """hand.boxes with constants, so that the graph needs no arithmetic on shapes."""

    def __init__(self, h=hand.HEIGHT // hand.STRIDE, w=hand.WIDTH // hand.STRIDE):
        super().__init__()
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        self.register_buffer("grid", torch.stack([x, y])[None])
        self.register_buffer("scale", torch.tensor([1 / w, 1 / h]).view(1, 2, 1, 1))

    def forward(self, maps):
        centre = (maps[:, 1:3] + self.grid) * self.scale
        sides = torch.exp(maps[:, 3:5].clamp(-4.0, 4.0)) * self.scale
        return torch.cat([centre, sides, maps[:, :1]], 1).flatten(2).transpose(1, 2)


class Hand(nn.Module):
    """The localiser as it ships."""

    def __init__(self, net: hand.Localiser):
        super().__init__()
        self.net, self.decode = net, Decode()

    def forward(self, x):
        return self.decode(self.net(x))


def projection(net, tensors, truth) -> np.ndarray:
    """float32 [32,1280]: the directions that part the labels best (linear discriminants), then the main ones of what
    is left."""
    with torch.no_grad():
        pooled = np.concatenate(
            [net.pool(net.head(net.blocks(net.stem(torch.from_numpy(x)[None])))).flatten(1).numpy() for x in tensors]
        )
    return fire_stats.principal(pooled, FEATURES)


def lower(net, pairs):
    """Take from the logits of labels: pairs of "label=amount"."""
    for pair in pairs:
        label, amount = pair.split("=")
        net.fc.bias.data[hands.LABELS.index(label)] -= float(amount)


FLOAT = ("/cam/", "/fc/", "/project/", "/net/out/", "/decode/")


def outside(proto) -> list:
    """Nodes that stay float: the last layers and what decodes boxes."""
    return [node.name for node in proto.graph.node if node.name.startswith(FLOAT)]


def write_ptq(fp32: Path, path: Path, tensors, method):
    """INT8 for CPUs."""
    export.write_ptq(fp32, path, tensors, method, ["Conv", "Add", "Clip", "Resize", "MaxPool"], outside)


def best_ptq(fp32, path, calibration, held, keep=lambda first: first):
    """INT8 for CPUs with the better of the range methods."""
    export.best_ptq(fp32, path, lambda candidate, method: write_ptq(fp32, candidate, calibration, method), held, keep)


def write_qat(net, path, shape, names, checkpoint: Path, lowered=()):
    """The weights and steps of a QAT run as Q/DQ nodes."""
    saved = torch.load(checkpoint, weights_only=True)
    own = net.state_dict()
    net.load_state_dict(
        {k: saved["average"][k.removeprefix("net.")] for k in own if k.removeprefix("net.") in saved["average"]},
        strict=False,
    )
    if isinstance(net, Gesture):
        lower(net, lowered)
        net.cam.weight.data = net.fc.weight.data[:, :, None, None].clone()
    export.trace(net, path, shape, names)
    prefix = "net." if isinstance(net, Hand) else ""
    proto = qat.insert(onnx.load(path), {prefix + k: v for k, v in saved["steps"].items()})
    onnx.save(proto, path)
    export.pin(path)


def files(out: Path, name, with_qat) -> list:
    """(path, manifest keys) of the variants."""
    made = [
        (out / f"{name}-fp32.onnx", dict(precision="fp32")),
        (out / f"{name}-int8.onnx", dict(precision="int8", method="ptq", target="cpu")),
    ]
    return made + (
        [(out / f"{name}-int8-qat.onnx", dict(precision="int8", method="qat", target="tensorrt"))] if with_qat else []
    )


def export_gesture(args):
    net = lite0.fold_batchnorm(prune.load(args.checkpoint).eval())
    lower(net, args.lower)
    studio = hands.Studio(hands.Pool(args.data), args.synth)
    crops = gesture.Crops(studio, seed=991)
    samples = [crops[i] for i in range(args.images + args.held + args.known)]
    tensors, truth = [x for x, _ in samples], np.array([y for _, y in samples])
    known = slice(args.images + args.held, None)
    whole = Gesture(net, projection(net, tensors[known], truth[known]))
    paths, names = files(args.out, "gesture", args.qat), ["logits", "features", "cam"]
    export.trace(whole, paths[0][0], (160, 160), names)
    best_ptq(paths[0][0], paths[1][0], tensors[: args.images], tensors[args.images : args.images + args.held])
    if args.qat:
        write_qat(whole, paths[2][0], (160, 160), names, args.qat, args.lower)
    pairs = gesture.validation(args.data)
    seen, right = (
        [preprocess.normalise(preprocess.pixels(p, 160, 160)) for p, _ in pairs],
        np.array([y for _, y in pairs]),
    )
    variants = [
        export.record(path, keys, fitted(path, seen, right, tensors[known], truth[known], args.threshold))
        for path, keys in paths
    ]
    return dict(
        output=dict(name="logits", shape=[1, 11], kind="logits"),
        features=dict(name="features", shape=[1, FEATURES]),
        cam=dict(name="cam", shape=[1, 11, 5, 5]),
        variants=variants,
        decision=dict(
            release=round(0.6 * args.threshold, 3), window=10, agree=7, dwell_seconds=1, ignore=["other", "none"]
        ),
        localiser=dict(model="hand", pad=args.pad, whole_side=args.whole_side),
    )


def fitted(path, seen, right, known, labels, threshold) -> dict:
    """Temperature on validation, label statistics on training samples, the distance that 99 % of validation stays
    under."""
    z, features, _ = export.outputs(path, seen)
    gaussians = fire_stats.fit_gaussians(export.outputs(path, known)[1], labels, labels=len(hands.LABELS))
    calibration = fire_stats.calibration(z, right)
    print(
        path.name,
        json.dumps(gesture.summary(z / calibration["temperature"], right)),
        json.dumps(calibration),
        flush=True,
    )
    limit = np.quantile(fire_stats.distance(features, gaussians), 0.99)
    return dict(temperature=calibration["temperature"], threshold=threshold, ood=fire_stats.packed(gaussians, limit))


def export_hand(args):
    net = lite0.fold_batchnorm(hand.load(args.checkpoint).eval())
    studio = hands.Studio(hands.Pool(args.data), args.synth)
    scenes = hand.Scenes(studio, seed=991)
    tensors = [scenes[i][0] for i in range(args.images + args.held)]
    paths, shape = files(args.out, "hand", args.qat), (hand.HEIGHT, hand.WIDTH)
    export.trace(Hand(net), paths[0][0], shape, ["boxes"])
    score = lambda rows: 1 / (1 + np.exp(-rows[..., 4])) * 10
    best_ptq(paths[0][0], paths[1][0], tensors[: args.images], tensors[args.images :], score)
    if args.qat:
        write_qat(Hand(net), paths[2][0], shape, ["boxes"], args.qat)
    variants = [export.record(path, keys, dict(temperature=1, threshold=args.threshold)) for path, keys in paths]
    cells = (hand.HEIGHT // hand.STRIDE) * (hand.WIDTH // hand.STRIDE)
    return dict(
        output=dict(name="boxes", shape=[1, cells, 5], kind="boxes"), nms=dict(iou=0.4, max=3), variants=variants
    )


def manifest(name, version, parts) -> dict:
    kind, labels, (h, w) = (
        ("detector", ["hand"], (hand.HEIGHT, hand.WIDTH))
        if name == "hand"
        else ("classifier", hands.LABELS, (160, 160))
    )
    return (
        dict(
            name=name,
            task="gesture",
            kind=kind,
            version=version,
            description=TEXT[name],
            licence="Apache-2.0 AND LicenseRef-HaGRID",
            labels=labels,
            input=export.picture(h, w),
        )
        | parts
    )


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train export gesture --data ~/data --checkpoint runs/gesture/last.pt "
        "--out infer/models/gesture --version 1.0.0",
    )
    p.add_argument("name", choices=list(TEXT))
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--synth", type=Path, help="renderings, so that calibration sees them too")
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument(
        "--qat", type=Path, help="checkpoint of `train qat-hands`; without it no TensorRT variant is written"
    )
    p.add_argument("--out", type=Path, required=True, help="folder for manifest.json and the onnx files")
    p.add_argument("--version", required=True)
    p.add_argument("--threshold", type=float, required=True, help="of a signal (gesture) or a box (hand)")
    p.add_argument(
        "--lower", nargs="*", default=[], metavar="LABEL=LOGIT", help="labels that need more evidence, e.g. ok=1.5"
    )
    p.add_argument(
        "--pad", type=float, default=1.2, help="side of a crop over the longer side of its box (default 1.2)"
    )
    p.add_argument(
        "--whole-side",
        type=int,
        default=400,
        help="pictures up to this long are classified whole without a box (default 400)",
    )
    p.add_argument("--images", type=int, default=200, help="images for the INT8 ranges (default 200)")
    p.add_argument("--known", type=int, default=1200, help="samples for the labels' statistics (default 1200)")
    p.add_argument("--held", type=int, default=100, help="images on which the range methods are compared (default 100)")
    args = p.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    out = manifest(args.name, args.version, {"gesture": export_gesture, "hand": export_hand}[args.name](args))
    (args.out / "manifest.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
