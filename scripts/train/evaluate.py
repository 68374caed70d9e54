"""Evaluate an ONNX model with its manifest on labelled photographs, with the rules that flight uses.

Scores are softmax(logits / temperature). A model with an alarm raises it when the sum of the alarm labels' scores
reaches the threshold; a model without one reports its best label when that label's score reaches the threshold.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

import data
import preprocess

NO_GESTURE = ("none", "other")


def session(path, threads=1):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def logits(path, files, size, threads=1) -> np.ndarray:
    """float32 [len(files), classes]."""
    run = session(path, threads)
    name = run.get_inputs()[0].name
    return np.concatenate(
        [run.run(None, {name: preprocess.normalise(preprocess.pixels(f, size, size))[None]})[0] for f in files]
    )


def softmax(z, temperature=1.0) -> np.ndarray:
    e = np.exp((z - z.max(1, keepdims=True)) / temperature)
    return e / e.sum(1, keepdims=True)


def folder(root: Path, labels) -> list:
    """(path, label index) of DIR/<label>/* in label order."""
    return [(p, i) for i, c in enumerate(labels) for p in data.images(root / c)]


def calibration_error(p, truth, bins=15) -> float:
    """Expected calibration error of the best label, equal-width bins (Guo et al. 2017, arXiv:1706.04599)."""
    confidence, right = p.max(1), p.argmax(1) == truth
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))


def report(z, truth, manifest, variant) -> dict:
    """Metrics of logits z [N,C] against truth [N]; shares are 0..1."""
    labels = manifest["labels"]
    p = softmax(z, variant["temperature"])
    guess = p.argmax(1)
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, guess), 1)
    present = confusion.sum(1) > 0
    recall = {c: round(float(confusion[i, i] / confusion[i].sum()), 4) for i, c in enumerate(labels) if present[i]}
    out = dict(
        images=len(truth),
        accuracy=round(float((guess == truth).mean()), 4),
        recall=recall,
        calibration_error=round(calibration_error(p, truth), 4),
        confusion=confusion.tolist(),
    )
    if manifest.get("alarm"):
        members = [labels.index(c) for c in manifest["alarm"]["labels"]]
        raised, real = p[:, members].sum(1) >= variant["threshold"], np.isin(truth, members)
    else:
        quiet = [labels.index(c) for c in NO_GESTURE if c in labels]
        raised = (p.max(1) >= variant["threshold"]) & ~np.isin(guess, quiet)
        real = ~np.isin(truth, quiet)
        out["gesture_recall"] = share(raised & (guess == truth), real)  # above the threshold and the right one
        none = truth == labels.index("none")
        out["false_gestures_without_hand"] = share(raised, none)
    out |= dict(
        alarm_accuracy=round(float((raised == real).mean()), 4),
        alarm_recall=share(raised, real),
        false_alarm_rate=share(raised, ~real),
    )
    return out


def share(hits, among):
    """Share of hits among a set, or None for an empty set."""
    return round(float(hits[among].mean()), 4) if among.any() else None


def pick(args, manifest) -> list:
    """(path, label index) of the images that the command line names."""
    if args.data:
        return data.validation(manifest["task"], args.data)
    return data.frames(args.frames) if args.frames else folder(args.dir, manifest["labels"])


def show(result, labels):
    for key, value in result.items():
        if key != "confusion":
            print(f"{key:28} {value}")
    width = max(map(len, labels)) + 1
    print("confusion (rows: truth)\n" + " " * width + "".join(f"{c:>{width}}" for c in labels))
    for c, row in zip(labels, result["confusion"]):
        if sum(row):
            print(f"{c:{width}}" + "".join(f"{n:{width}}" for n in row))


def compare(args, result):
    """Our figures beside those of the Go program."""
    import agree

    both = agree.against(args.against, args, result)
    if args.json:
        print(json.dumps(both))
    if both["worst_points"] > agree.LIMIT:
        raise SystemExit(f"Python and Go differ by {both['worst_points']} points, want at most {agree.LIMIT}")


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train evaluate infer/models/fire/manifest.json --dir ~/data/fire/val --precision int8",
    )
    p.add_argument("manifest", type=Path)
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--data", type=Path, help="data folder; its validation set is used (gesture: plus fire/val as `none`)"
    )
    where.add_argument(
        "--frames",
        type=Path,
        metavar="DATA",
        help="data folder; its full frames with a hand of 30 %% of the side or more",
    )
    where.add_argument("--dir", type=Path, help="folder with one folder of images for each label")
    p.add_argument("--precision", choices=["fp32", "int8"], default="fp32")
    p.add_argument(
        "--method", choices=["ptq", "qat"], help="of several int8 files, the one made this way (default the first)"
    )
    p.add_argument("--threads", type=int, default=1)
    p.add_argument(
        "--against",
        metavar="PROGRAM",
        help="with --dir: bin/emberwing; its eval beside ours, an error beyond 0.2 points",
    )
    p.add_argument("--same-pixels", action="store_true", help="with --against: decode each JPEG once, for both")
    p.add_argument("--json", action="store_true", help="one JSON object instead of text")
    args = p.parse_args(argv)
    if args.against and not args.dir or args.same_pixels and not args.against:
        p.error(
            "--against compares what both run on a folder and --same-pixels belongs to it: want both with --dir"
        )
    manifest = json.loads(args.manifest.read_text())
    with tempfile.TemporaryDirectory() as folder:
        if args.same_pixels:
            import agree

            args.dir = agree.unpacked(args.dir, manifest["labels"], Path(folder))
        run(args, manifest)


def run(args, manifest):
    """Evaluate, and print the figures."""
    variant = next(
        v for v in manifest["variants"] if v["precision"] == args.precision and args.method in (None, v.get("method"))
    )
    pairs = pick(args, manifest)
    if not pairs:
        raise SystemExit(f"no images found: want folders named {', '.join(manifest['labels'])} with .jpg or .png files")
    began = time.time()
    z = logits(
        args.manifest.parent / variant["file"], [f for f, _ in pairs], manifest["input"]["shape"][2], args.threads
    )
    result = dict(model=manifest["name"], precision=args.precision) | report(
        z, np.array([y for _, y in pairs]), manifest, variant
    )
    result["seconds"] = round(time.time() - began, 1)
    if args.against:
        compare(args, result)
        return
    print(json.dumps(result)) if args.json else show(result, manifest["labels"])


if __name__ == "__main__":
    main()
