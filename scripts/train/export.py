"""Export a checkpoint: ONNX FP32 and INT8 (QDQ), calibrated temperatures and thresholds, and the manifest.

Written models: opset 13, IR 8, batch 1, batch norms folded, input "input" float32 [1,3,H,W], output "logits" [1,classes].
INT8: onnxruntime's static quantiser, weights int8 per channel, activations int8 with zero point 0 (what TensorRT takes);
of several calibration methods the one that agrees best with FP32 on training images kept aside is written.
"""
import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import data
import evaluate
import model as lite0
import preprocess

OPSET, IR_VERSION = 13, 8
METHODS = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "percentile 99.99": (CalibrationMethod.Percentile, dict(CalibPercentile=99.99)),
    "percentile 99.999": (CalibrationMethod.Percentile, dict(CalibPercentile=99.999)),
}
TEXT = {
    "fire": "Fire and smoke in a camera frame, from the ground or the air: EfficientNet-Lite0 at 224x224, the whole frame squashed.",
    "gesture": "Hand signals seen by a camera, as a hand crop or a frame whose hand fills about a third of the side or more: "
               "EfficientNet-Lite0 at 160x160, the whole frame squashed.",
}
WARNING = {
    "fire": " Trained on photographs gathered from the web; licences of three sources are not verified. See MODEL_CARD.md.",
    "gesture": " Trained largely on HaGRID (attribution, share-alike). See MODEL_CARD.md.",
}
LICENCE = {"fire": "Apache-2.0 AND CC-BY-4.0", "gesture": "Apache-2.0 AND LicenseRef-HaGRID"}  # see the model cards
DECISION = {
    "fire": dict(window=8, agree=5, dwell_seconds=0),
    "gesture": dict(window=10, agree=7, dwell_seconds=1, ignore=["other", "none"]),
}


def write_fp32(checkpoint: Path, task: str, path: Path):
    """Trace the averaged weights, batch norms folded, and pin the versions that old runtimes open."""
    net = lite0.Lite0(len(data.LABELS[task])).eval()
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    lite0.fold_batchnorm(net)
    size = data.SIZE[task]
    torch.onnx.export(net, torch.zeros(1, 3, size, size), str(path), input_names=["input"], output_names=["logits"],
                      opset_version=OPSET, dynamo=False, do_constant_folding=True)
    pin(path)


def pin(path: Path):
    proto = onnx.load(path)
    """Stamp the oldest IR that serves, and drop operator sets that no node uses: old runtimes refuse a file for naming them."""
    proto.ir_version = IR_VERSION
    used = {node.domain for node in proto.graph.node}
    kept = [o for o in proto.opset_import if o.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", OPSET)], proto.opset_import
    del proto.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


class Calibration(CalibrationDataReader):
    """Feeds the quantiser float32 [1,3,H,W], one image at a time."""

    def __init__(self, tensors):
        self.tensors = iter(tensors)

    def get_next(self):
        x = next(self.tensors, None)
        return None if x is None else {"input": x[None]}


def training_tensors(task, root, synth, start, count) -> list:
    """Augmented training samples no run has seen (their indices start far out), normalised float32 [3,H,W]."""
    samples = data.Samples(task, root, seed=991, synth=synth)
    return [samples[start + i][0] for i in range(count)]


def write_int8(fp32: Path, path: Path, tensors, method):
    kind, options = METHODS[method]
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        quantize_static(str(prepared), str(path), Calibration(tensors), quant_format=QuantFormat.QDQ, per_channel=True,
                        weight_type=QuantType.QInt8, activation_type=QuantType.QInt8, calibrate_method=kind,
                        extra_options=dict(ActivationSymmetric=True, WeightSymmetric=True, **options))
    pin(path)


def run(path, tensors) -> np.ndarray:
    s = evaluate.session(path, 2)
    return np.concatenate([s.run(None, {"input": x[None]})[0] for x in tensors])


def best_int8(fp32: Path, path: Path, calibration, held, methods) -> str:
    """Try the methods, keep the file whose probabilities are nearest to FP32's on held; returns the method's name."""
    want = evaluate.softmax(run(fp32, held))
    scores = {}
    for method in methods:
        candidate = path.with_suffix(f".{len(scores)}.tmp")
        write_int8(fp32, candidate, calibration, method)
        got = evaluate.softmax(run(candidate, held))
        scores[method] = (float(np.abs(got - want).sum(1).mean()), candidate)
        print(f"int8 {method}: mean L1 distance of probabilities {scores[method][0]:.4f}, "
              f"labels equal {(got.argmax(1) == want.argmax(1)).mean():.4f}", flush=True)
    method = min(scores, key=lambda m: scores[m][0])
    scores[method][1].replace(path)
    for _, other in scores.values():
        other.unlink(missing_ok=True)
    return method


def temperature(z, truth) -> float:
    """The T that minimises the negative log likelihood of softmax(z/T), by a fine scan (Guo et al. 2017)."""
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 200))
    loss = [-np.log(evaluate.softmax(z, t)[np.arange(len(truth)), truth] + 1e-12).mean() for t in grid]
    return round(float(grid[int(np.argmin(loss))]), 4)


def threshold(score, real, rate, floor=0.3) -> float:
    """Smallest threshold >= floor with at most `rate` of the scores of not-real images at or above it."""
    quiet = np.sort(score[~real])[::-1]
    allowed = int(rate * len(quiet))
    limit = quiet[allowed] + 0.005 if allowed < len(quiet) else floor
    return round(float(np.clip(limit, floor, 0.95)), 3)


def calibrate(task, z, truth) -> dict:
    """Temperature and threshold of one variant from validation logits z [N,C]."""
    labels = data.LABELS[task]
    t = temperature(z, truth)
    p = evaluate.softmax(z, t)
    if task == "fire":
        return dict(temperature=t, threshold=threshold(p[:, 1:].sum(1), truth > 0, 0.02))
    gestures = p[:, :labels.index("other")].max(1)
    return dict(temperature=t, threshold=threshold(gestures, truth != labels.index("none"), 0.005, floor=0.6))


def variant(path: Path, precision, calibrated) -> dict:
    blob = path.read_bytes()
    return dict(precision=precision, file=path.name, sha256=hashlib.sha256(blob).hexdigest(), bytes=len(blob), **calibrated)


def manifest(task, version, variants) -> dict:
    labels, size = data.LABELS[task], data.SIZE[task]
    release = round(0.6 * min(v["threshold"] for v in variants), 3)
    out = dict(name=task, task=task, version=version, description=TEXT[task] + WARNING[task], licence=LICENCE[task], labels=labels,
               input=dict(name="input", shape=[1, 3, size, size], dtype="float32", layout="nchw", order="rgb", fit="stretch",
                          mean=[round(v, 8) for v in preprocess.MEAN], std=[round(v, 8) for v in preprocess.STD]),
               output=dict(name="logits", shape=[1, len(labels)], kind="logits"))
    if task == "fire":
        out["alarm"] = dict(labels=["smoke", "fire"])
    return out | dict(variants=variants, decision=dict(release=release) | DECISION[task])


def main(argv=None):
    p = argparse.ArgumentParser(prog="train export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="example: train export fire --data ~/data --checkpoint runs/fire/last.pt --out infer/models/fire --version 0.1.0")
    p.add_argument("task", choices=list(data.LABELS))
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True, help="folder for manifest.json and the onnx files")
    p.add_argument("--version", required=True)
    p.add_argument("--synth", type=Path, help="renderings used in training, so that calibration sees them too")
    p.add_argument("--images", type=int, default=256, help="images for the INT8 ranges (default 256)")
    p.add_argument("--held", type=int, default=200, help="images on which the methods are compared (default 200)")
    p.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), help="range methods to compare (default all)")
    args = p.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    fp32, int8 = (args.out / f"{args.task}-{precision}.onnx" for precision in ("fp32", "int8"))
    write_fp32(args.checkpoint, args.task, fp32)
    tensors = training_tensors(args.task, args.data, args.synth, 2 ** 30, args.images + args.held)
    method = best_int8(fp32, int8, tensors[:args.images], tensors[args.images:], args.methods)
    pairs = data.validation(args.task, args.data)
    truth = np.array([y for _, y in pairs])
    variants, z = [], {}
    for precision, path in (("fp32", fp32), ("int8", int8)):
        z[precision] = evaluate.logits(path, [f for f, _ in pairs], data.SIZE[args.task], 2)
        variants.append(variant(path, precision, calibrate(args.task, z[precision], truth)))
    out = manifest(args.task, args.version, variants)
    (args.out / "manifest.json").write_text(json.dumps(out, indent=2) + "\n")
    print(f"int8 ranges: {method}; labels equal to fp32 on validation: {(z['fp32'].argmax(1) == z['int8'].argmax(1)).mean():.4f}")
    for v in variants:
        print(f"\n{v['precision']} temperature {v['temperature']} threshold {v['threshold']} bytes {v['bytes']}")
        evaluate.show(evaluate.report(z[v["precision"]], truth, out, v), out["labels"])


if __name__ == "__main__":
    main()
