"""Export a model of the fire family: ONNX files, temperatures, thresholds, out-of-distribution statistics, and the
manifest.

Written models: opset 13, IR 8, batch 1. Outputs of a classifier: logits [1,3], features [1,32], cam [1,3,h,w].
Variants: fp32; int8 for a CPU (uint8 activations with a zero point, which absorbs ReLU6, int8 weights per channel,
calibrated); int8 for TensorRT and any other (Q/DQ, int8 activations with zero point 0) after quantisation-aware
training.
"""

import argparse
import copy
import json
import re
from pathlib import Path

import numpy as np
import onnx
import torch

import evaluate
import export
import fire_data
import fire_fit
import fire_stats
import nets
import photos
import preprocess
import qat

TEXT = {
    "fire": "Fire and smoke in a camera frame, from the ground or the air: "
    "EfficientNet-Lite0 at 224x224, the whole frame squashed.",
    "fire-nano": "Fire and smoke in a camera frame, the small one: twelve blocks of "
    "EfficientNet-Lite0 at {size}x{size}, distilled from fire.",
    "fire-gate": "Whether a frame is worth a closer look for fire or smoke: the first six blocks "
    "of EfficientNet-Lite0 at 96x96.",
    "fire-seg": "Where flames and smoke are, as masks of 56x56 over the frame: eleven blocks of "
    "EfficientNet-Lite0 and a top-down path.",
}
WARNING = (
    " Trained on photographs gathered from the web; licences of three sources are not verified. See MODEL_CARD.md."
)
DELICATE = {"fire": ("/stem/", "/blocks.0/")}  # float in the INT8 file: three smoke photographs hang on them


def write(net, path: Path, size, outputs):
    """Trace net to an FP32 ONNX file."""
    export.trace(net, path, (size, size), outputs)


def deployed(net, store, size, count=1200):
    """net with its features' projection, fitted on every n-th training photograph."""
    rows = np.arange(len(store))[:: max(1, len(store) // count)]
    with torch.no_grad():
        x = [torch.from_numpy(preprocess.normalise(np.asarray(resized(store.pixels[i], size))))[None] for i in rows]
        pooled = np.concatenate([net.maps(v.to(memory_format=torch.channels_last)).mean((2, 3)).numpy() for v in x])
    return nets.Deployed(net, torch.from_numpy(fire_stats.principal(pooled, nets.FEATURES)))


def resized(pixels, size):
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels)).resize((size, size), Image.Resampling.BILINEAR)


def write_ptq(fp32: Path, path: Path, tensors, method, delicate=()):
    """INT8 for CPUs. The head stays float: it is small, and its outputs are graph outputs. So do nodes whose names hold
    one of the delicate parts."""

    def outside(proto):
        return [n.name for n in proto.graph.node if n.output[0] == "cam" or any(part in n.name for part in delicate)]

    export.write_ptq(fp32, path, tensors, method, ["Conv", "Add", "Clip", "Resize"], outside)


def best_ptq(fp32, path, calibration, held, delicate=()) -> dict:
    """The better of the range methods; returns each method's distance from FP32 on held."""
    write_one = lambda candidate, method: write_ptq(fp32, candidate, calibration, method, delicate)
    return export.best_ptq(fp32, path, write_one, held)


def write_symmetric(net, fp32: Path, path: Path, tensors):
    """INT8 for what cannot use zero points, TensorRT above all: the Q/DQ form of `train qat` without its training."""
    rounding = qat.prepare(copy.deepcopy(net).eval())
    with torch.no_grad():
        for x in tensors:
            rounding(torch.from_numpy(x)[None])
    qat.settle(rounding)
    onnx.save(qat.insert(onnx.load(fp32), qat.steps(rounding)), path)
    export.pin(path)


def stored(store, size, rows=None):
    """Normalised tensors of a store's photographs, read from their files as the Go side reads them."""
    for i in range(len(store)) if rows is None else rows:
        yield preprocess.normalise(preprocess.pixels(store.rows[i]["path"], size, size))


def truth_of(store):
    return np.array([fire_data.LABELS.index(c) for c in store.labels])


class Variant:
    """One ONNX file with what the manifest says about it."""

    def __init__(self, path: Path, precision, method="", target=""):
        self.path, self.keys = (
            path,
            dict(precision=precision) | ({"method": method} if method else {}) | ({"target": target} if target else {}),
        )

    def measure(self, args, size):
        """Fit temperature, threshold and statistics."""
        train, val = photos.fire(args.data, args.cache, "train"), photos.fire(args.data, args.cache, "val")
        rows = np.arange(len(train))[:: args.every]
        z, features, _ = export.outputs(self.path, stored(val, size))
        _, known, _ = export.outputs(self.path, stored(train, size, rows))
        truth = truth_of(val)
        self.z, self.calibration = z, fire_stats.calibration(z, truth)
        score = evaluate.softmax(z, self.calibration["temperature"])[:, 1:].sum(1)
        gaussians = fire_stats.fit_gaussians(known, truth_of(train)[rows])
        self.distances = fire_stats.distance(features, gaussians)
        self.keys |= dict(
            temperature=self.calibration["temperature"],
            threshold=fire_stats.threshold(score, truth > 0),
            ood=fire_stats.packed(gaussians, np.quantile(self.distances, 0.99)),
        )

    def record(self) -> dict:
        named = {k: self.keys[k] for k in ("precision", "method", "target") if k in self.keys}
        return export.record(self.path, named, {k: v for k, v in self.keys.items() if k not in named})


def manifest(name, version, size, kind, variants, extra) -> dict:
    labels = ["fire", "smoke"] if kind == "segmenter" else fire_data.LABELS
    side = size // 4 if kind == "segmenter" else size
    out = dict(
        name=name,
        task="fire",
        kind=kind,
        version=version,
        description=TEXT[name].format(size=size) + WARNING,
        licence="Apache-2.0 AND CC-BY-4.0",
        labels=labels,
        input=export.picture(size, size),
    )
    if kind == "segmenter":
        out["output"] = dict(name="masks", shape=[1, 2, side, side], kind="masks")
        return out | dict(variants=variants)
    cells = -(-size // (32 if name in ("fire", "fire-nano") else 16))
    out |= dict(
        output=dict(name="logits", shape=[1, 3], kind="logits"),
        features=dict(name="features", shape=[1, nets.FEATURES]),
        cam=dict(name="cam", shape=[1, 3, cells, cells]),
        alarm=dict(labels=["smoke", "fire"]),
        variants=variants,
    )
    release = round(0.6 * min(v["threshold"] for v in variants), 3)
    return out | dict(decision=dict(window=8, agree=5, release=release, dwell_seconds=0)) | extra


def compact(manifest) -> str:
    """Indented JSON with each list of numbers on one line."""
    text = json.dumps(manifest, indent=1)
    return re.sub(r"\[[-+.,\deE\s]+\]", lambda m: " ".join(m[0].split()), text) + "\n"


def calibration_tensors(args, size, count):
    """For `fire` evenly picked training photographs, as they are; for the others augmented samples that no run has
    seen."""
    if args.name == "fire":
        store = photos.fire(args.data, args.cache, "train")
        return list(stored(store, size, np.linspace(0, len(store) - 1, count).astype(int)))
    samples = fire_data.Samples(fire_data.Scenes(args.data, args.cache, args.synth), size, seed=991)
    return [samples[i][0] for i in range(count)]


def export_classifier(args):
    size = args.size or nets.ARCHS[args.name].size
    arch = nets.ARCHS[args.name]
    net = nets.Classifier(nets.Arch(arch.blocks, arch.head, size)).to(memory_format=torch.channels_last).eval()
    nets.load(net, args.checkpoint, strict=True)
    shift = rebalance(net, photos.fire(args.data, args.cache, "val"), size)
    file = lambda kind: args.out / f"{args.name}-{kind}.onnx"
    whole = deployed(net, photos.fire(args.data, args.cache, "train"), size).to(memory_format=torch.contiguous_format)
    write(whole, file("fp32"), size, ["logits", "features", "cam"])
    tensors = calibration_tensors(args, size, args.images + args.held)
    notes = best_ptq(
        file("fp32"), file("int8"), tensors[: args.images], tensors[args.images :], DELICATE.get(args.name, ())
    )
    variants = [Variant(file("fp32"), "fp32"), Variant(file("int8"), "int8", "ptq", "cpu")]
    if args.qat:
        write_qat(args, whole, size, file("int8-qat"), shift)
        variants.append(Variant(file("int8-qat"), "int8", "qat"))  # for any provider but the CPU, which has its own
    else:
        write_symmetric(net, file("fp32"), file("int8-sym"), tensors[:40])
        variants.append(Variant(file("int8-sym"), "int8", "ptq"))
    for v in variants:
        v.measure(args, size)
    return size, "classifier", variants, notes


def rebalance(net, store, size) -> torch.Tensor:
    """Take the made samples' share of fires back: move the classifier's bias, returns by how much."""
    shift = torch.from_numpy(fire_stats.prior(fire_fit.predict(net, store, size), truth_of(store)))
    net.fc.bias.data += shift
    print("bias of the labels moved by", [round(float(v), 3) for v in shift], flush=True)
    return shift


def write_qat(args, whole, size, path, shift):
    """The weights and steps that `train qat` left, with Q/DQ nodes; the projection is that of the FP32 file."""
    state = torch.load(args.qat, weights_only=True)
    whole.load_state_dict({k: v for k, v in state["average"].items() if k in whole.state_dict()}, strict=False)
    whole.fc.bias.data += shift
    whole.cam.weight.data = whole.fc.weight.data[:, :, None, None].clone()
    write(whole, path, size, ["logits", "features", "cam"])
    proto = qat.insert(onnx.load(path), state["steps"])
    onnx.save(proto, path)
    export.pin(path)


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train export fire --data ~/data --checkpoint runs/fire/last.pt --out models/fire --version 1",
    )
    p.add_argument("name", choices=list(TEXT))
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--synth", type=Path, help="renderings, so that calibration sees them too")
    p.add_argument("--checkpoint", type=Path, required=True, help="weights: .pt of a run, or a shipped FP32 .onnx")
    p.add_argument("--qat", type=Path, help="checkpoint of `train qat`; without it no TensorRT variant is written")
    p.add_argument("--out", type=Path, required=True, help="folder for manifest.json and the onnx files")
    p.add_argument("--version", required=True)
    p.add_argument("--size", type=int)
    p.add_argument(
        "--blocks", type=json.loads, default={}, help='JSON of optional blocks, e.g. {"segmenter":{"model":"fire-seg"}}'
    )
    p.add_argument("--images", type=int, default=200, help="images for the INT8 ranges (default 200)")
    p.add_argument("--held", type=int, default=100, help="images on which the methods are compared (default 100)")
    p.add_argument(
        "--every", type=int, default=2, help="statistics are fitted on every n-th training photograph (default 2)"
    )
    args = p.parse_args(argv)
    torch.set_num_threads(1)  # two would wait for each other between small operators
    args.out.mkdir(parents=True, exist_ok=True)
    if args.name == "fire-seg":
        import seg

        size, kind, variants, notes = seg.export_segmenter(args)
    else:
        size, kind, variants, notes = export_classifier(args)
    out = manifest(args.name, args.version, size, kind, [v.record() for v in variants], args.blocks)
    (args.out / "manifest.json").write_text(compact(out))
    print(json.dumps(notes))
    for v in variants:
        print(json.dumps({k: x for k, x in v.record().items() if k != "ood"}))


if __name__ == "__main__":
    main()
