"""Localiser and classifier together, by the rules of the Go side (infer/MANIFEST.md): find hands, cut them out,
classify, choose."""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

import data
import evaluate
import hand
import hands
import preprocess

LABELS = hands.LABELS
OTHER, NONE = LABELS.index("other"), LABELS.index("none")


def ladder(side: float) -> int:
    """The first step of floor(16*2^(k/12)+0.5) that is not smaller than side (less a hundredth)."""
    k = 0
    while math.floor(16 * 2 ** (k / 12) + 0.5) < side - 0.01:
        k += 1
    return math.floor(16 * 2 ** (k / 12) + 0.5)


def crop_around(box, width, height, pad) -> tuple:
    """x0, y0, x1, y1 in pixels of the square round box (shares x0, y0, x1, y1), moved to lie inside the picture."""
    side = pad * max((box[2] - box[0]) * width, (box[3] - box[1]) * height)
    side = ladder(min(side, max(width, height)))
    w, h = min(side, width), min(side, height)
    x = int(np.clip(math.floor((box[0] + box[2]) / 2 * width - w / 2 + 0.5), 0, width - w))
    y = int(np.clip(math.floor((box[1] + box[3]) / 2 * height - h / 2 + 0.5), 0, height - h))
    return x, y, x + w, y + h


class Pipeline:
    """find: float32 [1,3,H,W] -> rows [N,5]; classify: float32 [1,3,S,S] -> logits [11]."""

    def __init__(
        self,
        find,
        classify,
        threshold=0.4,
        temperature=1.0,
        pad=1.25,
        whole_side=400,
        size=160,
        most=3,
        shape=(hand.WIDTH, hand.HEIGHT),
    ):
        self.find, self.classify, self.threshold, self.temperature = find, classify, threshold, temperature
        self.pad, self.whole_side, self.size, self.most, self.shape = pad, whole_side, size, most, shape

    def crop(self, image, box=None):
        part = image.crop(crop_around(box, *image.size, self.pad)) if box is not None else image
        return self.classify(preprocess.normalise(np.asarray(preprocess.resize(part, self.size, self.size)))[None])

    def rows(self, image):
        return self.find(preprocess.normalise(np.asarray(preprocess.resize(image, *self.shape)))[None])

    def probabilities(self, image, box=None):
        return evaluate.softmax(self.crop(image, box)[None], self.temperature)[0]

    def __call__(self, image: Image.Image) -> tuple:
        """Probabilities [11] and the box (shares x0, y0, x1, y1, score) or None."""
        p, answer, best = np.eye(len(LABELS))[NONE], None, -1.0
        if max(image.size) <= self.whole_side:
            p = self.probabilities(image)
            if p.argmax() != NONE:
                return p, None
            best = p[:NONE].max()
        for box in hand.detections(self.rows(image), self.threshold, most=self.most):
            if math.sqrt(box[4]) <= best:
                break
            q = self.probabilities(image, box)
            if math.sqrt(box[4]) * q[:NONE].max() > best:
                p, answer, best = q, box, math.sqrt(box[4]) * q[:NONE].max()
        return p, answer


def from_manifests(gesture: Path, localiser: Path, precision="fp32") -> Pipeline:
    """The pipeline of two manifests' files for a CPU."""
    g, h = (json.loads((d / "manifest.json").read_text()) for d in (gesture, localiser))
    pick = lambda m: next(v for v in m["variants"] if v["precision"] == precision and v.get("target", "cpu") == "cpu")
    vg, vh = pick(g), pick(h)
    return from_files(
        gesture / vg["file"],
        localiser / vh["file"],
        threshold=vh["threshold"],
        temperature=vg["temperature"],
        pad=g["localiser"]["pad"],
        whole_side=g["localiser"]["whole_side"],
        most=h["nms"]["max"],
    )


def from_files(gesture: Path, localiser: Path, **options) -> Pipeline:
    find, classify = evaluate.session(localiser), evaluate.session(gesture)
    _, _, h, w = find.get_inputs()[0].shape
    size = classify.get_inputs()[0].shape[2]
    return Pipeline(
        lambda x: find.run(None, {"input": x})[0][0],
        lambda x: classify.run(["logits"], {"input": x})[0][0],
        shape=(w, h),
        size=size,
        **options,
    )


def truth(root: Path) -> dict:
    """Named sets of (path, allowed labels, boxes)."""
    crops = [(p, {c}, []) for c in LABELS for p in data.images(root / "gesture/val" / c)]
    frames = [(p, {c for c, _ in hs}, [b for _, b in hs]) for p, hs in hand.frames(root).items()]
    calm = [(p, {"none"}, []) for c in ("nofire", "smoke", "fire") for p in data.images(root / "fire/val" / c)]
    return dict(crops=crops, frames=frames, calm=calm)


def run(pipeline, items, change=lambda image: image) -> list:
    return [pipeline(change(data.load(p))) for p, _, _ in items]


def measure(results, items, threshold) -> dict:
    """Shares: right label; right label and box over a hand; signals (a label but other and none at threshold or more);
    right signals."""
    labels = [LABELS[int(p.argmax())] for p, _ in results]
    signal = [l not in ("other", "none") and p.max() >= threshold for l, (p, _) in zip(labels, results)]
    right = [l in allowed for l, (_, allowed, _) in zip(labels, items)]
    boxed = [
        b is not None and (not bs or max(hand.overlap(b, t) for t in bs) >= 0.3)
        for (_, b), (_, _, bs) in zip(results, items)
    ]
    share = lambda flags: round(float(np.mean(flags)), 4)
    return dict(
        n=len(items),
        right=share(right),
        boxed=share(boxed),
        both=share(np.logical_and(right, boxed)),
        signals=share(signal),
        right_signals=share(np.logical_and(right, signal)),
    )


def shifted(image: Image.Image) -> Image.Image:
    """The picture moved by one pixel to the right and down, its first column and row repeated."""
    a = np.asarray(image)
    return Image.fromarray(np.pad(a, ((1, 0), (1, 0), (0, 0)), "edge")[:-1, :-1])


def flips(before, after) -> float:
    """Share of pictures whose label changes."""
    return round(float(np.mean([a[0].argmax() != b[0].argmax() for a, b in zip(before, after)])), 4)


def main(argv=None):
    import argparse

    p = argparse.ArgumentParser(
        prog="train evaluate-gesture",
        description=__doc__,
        epilog="example: train evaluate-gesture --data ~/data --models infer/models --precision int8",
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--models", type=Path, default=Path(__file__).resolve().parents[2] / "infer/models")
    p.add_argument("--precision", choices=["fp32", "int8"], default="fp32")
    p.add_argument("--json", action="store_true", help="one JSON object instead of text")
    args = p.parse_args(argv)
    pipeline = from_manifests(args.models / "gesture", args.models / "hand", args.precision)
    manifest = json.loads((args.models / "gesture/manifest.json").read_text())
    threshold = next(v["threshold"] for v in manifest["variants"] if v["precision"] == args.precision)
    report = {}
    for name, items in truth(args.data).items():
        results = run(pipeline, items)
        report[name] = measure(results, items, threshold) | dict(flips=flips(results, run(pipeline, items, shifted)))
        if not args.json:
            print(name, report[name], flush=True)
    if args.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
