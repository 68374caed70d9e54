"""Reports on the shipped fire models: JSON (and a table) of what the model cards quote.

trust   accuracy, recalls and false alarms with 95 % intervals, by source; calibration error before and after;
        out-of-distribution score; flips under one-pixel shifts; INT8 against FP32; of every variant of every model
gate    missed fires and silenced empty frames of the gate at each threshold, alone and before the model
mix     the model, its mixing partner and both together, on clean and on spoilt photographs
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from PIL import Image

import effects
import evaluate
import fire_data
import fire_stats
import photos
import preprocess


class Model:
    """A shipped model: a manifest and its files."""

    def __init__(self, folder: Path):
        self.folder, self.manifest = folder, json.loads((folder / "manifest.json").read_text())
        self.size, self.sessions = self.manifest["input"]["shape"][2], {}

    def session(self, variant):
        """The variant's session, opened once."""
        if variant["file"] not in self.sessions:
            self.sessions[variant["file"]] = evaluate.session(self.folder / variant["file"])
        return self.sessions[variant["file"]]

    def variants(self):
        return self.manifest["variants"]

    def variant(self, *keys):
        return next(v for v in self.variants() if all(k in name(v) for k in keys))

    def run(self, variant, pictures):
        """Logits, features of pictures (PIL images or paths)."""
        s = self.session(variant)
        rows = [s.run(["logits", "features"], {"input": self.tensor(p)}) for p in pictures]
        return np.concatenate([z for z, _ in rows]), np.concatenate([f for _, f in rows])

    def tensor(self, picture):
        if isinstance(picture, (str, Path)):
            return preprocess.normalise(preprocess.pixels(picture, self.size, self.size))[None]
        return preprocess.normalise(np.asarray(preprocess.resize(picture, self.size, self.size)))[None]


def name(v):
    return " ".join(v.get(k, "") for k in ("precision", "method", "target")).strip()


def opened(store):
    """The store's photographs as PIL images, one after the other."""
    for row in store.rows:
        with Image.open(row["path"]) as image:
            yield preprocess.to_rgb(image)


def answers(z, variant):
    p = evaluate.softmax(z, variant["temperature"])
    return p, p[:, 1:].sum(1)


def quality(z, truth, variant) -> dict:
    """Shares with intervals."""
    p, score = answers(z, variant)
    raised, real, guess = score >= variant["threshold"], truth > 0, p.argmax(1)
    recall = {c: fire_stats.share((guess == i)[truth == i]) for i, c in enumerate(fire_data.LABELS)}
    return dict(
        labels=fire_stats.share(guess == truth),
        recall=recall,
        alarm_accuracy=fire_stats.share(raised == real),
        alarm_recall=fire_stats.share(raised[real]),
        smoke_alarm=fire_stats.share(raised[truth == 1]),
        false_alarms=fire_stats.share(raised[~real]),
    )


def by_source(z, truth, sources, variant) -> dict:
    _, score = answers(z, variant)
    right = (score >= variant["threshold"]) == (truth > 0)
    return {str(s): fire_stats.share(right[sources == s]) for s in sorted(set(sources))}


def spoil(rng, image):
    """A photograph as a bad camera in bad air gives it: blur, haze, noise or darkness, and JPEG."""
    x = np.asarray(image.resize((320, 240), effects.BILINEAR)).astype(np.float32) / 255
    kind = rng.integers(4)
    if kind == 0:
        x = effects.motion(rng, x, 14)
    elif kind == 1:
        x = x * 0.5 + 0.4
    elif kind == 2:
        x = x + rng.standard_normal(x.shape, np.float32) * 0.12
    else:
        x = x * 0.35
    return Image.fromarray(effects.jpeg(rng, (x.clip(0, 1) * 255).astype(np.uint8), 20, 40))


def strange(rng, count) -> dict:
    """Pictures unlike any photograph: static, bars, a covered lens."""
    noise = [Image.fromarray(rng.integers(0, 256, (240, 320, 3), np.uint8)) for _ in range(count)]
    bars = [
        Image.fromarray(np.repeat(rng.integers(0, 256, (1, 8, 3), np.uint8), 240, 0)).resize(
            (320, 240), Image.Resampling.NEAREST
        )
        for _ in range(count)
    ]
    cover = [Image.fromarray(np.full((240, 320, 3), rng.integers(0, 256, 3), np.uint8)) for _ in range(count)]
    return dict(static=noise, bars=bars, covered=cover)


def foreign(args, store) -> dict:
    """Pictures of other things: rooms with a person, close hands (both of sources that training did not have),
    renderings of a flight (training had others), and the photographs as negatives; about a hundred of each."""
    some = lambda files: files[:: max(1, len(files) // 100)]
    out = dict(
        rooms=some(sorted((args.data / "gesture_frames/val").rglob("*.jpg"))),
        hands=some(sorted((args.data / "gesture/val").rglob("*.jpg"))),
        negatives=[negative(p) for p in list(opened(store))[::8]],
    )
    if args.synth:
        out["renderings"] = some(sorted(args.synth.glob("*/fire/nofire/*.*")))
    return out


def negative(image):
    return Image.fromarray(255 - np.asarray(image))


def outliers(model, variant, store, features, args) -> dict:
    """How well d² tells strange pictures from validation photographs, and what it says about wrong answers."""
    rng = np.random.default_rng(5)
    o = variant["ood"]
    d = len(o["means"][0])
    factor = np.zeros((d, d))
    factor[np.tril_indices(d)] = o["factor"]
    gaussians = dict(means=np.array(o["means"]), factor=factor)
    inside = fire_stats.distance(features, gaussians)
    sets = strange(rng, 60) | foreign(args, store)
    out = dict(threshold=o["threshold"], flagged_inside=fire_stats.share(inside > o["threshold"]))
    for kind, pictures in sets.items():
        z, f = model.run(variant, pictures)
        far = fire_stats.distance(f, gaussians)
        alarms = answers(z, variant)[1] >= variant["threshold"]
        out[kind] = dict(
            pictures=len(pictures),
            auroc=fire_stats.auroc(inside, far),
            flagged=fire_stats.share(far > o["threshold"]),
            false_alarms=int(alarms.sum()),
            false_alarms_not_flagged=int((alarms & (far <= o["threshold"])).sum()),
        )
    return out | dict(inside=inside)


def flips(model, variant, store, every) -> dict:
    """Labels and alarms that change when the camera moves by one pixel, in the eight directions; of every n-th
    photograph. The intervals take pairs of one photograph as independent, so they are too narrow, if anything."""
    changed, alarms, pairs = 0, 0, 0
    moves = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
    for image in itertools.islice(opened(store), 0, None, every):
        z, _ = model.run(variant, [fire_stats.shifted(image, 0, 0)] + [fire_stats.shifted(image, *m) for m in moves])
        p, score = answers(z, variant)
        guess, raised = p.argmax(1), score >= variant["threshold"]
        changed += int((guess[1:] != guess[0]).sum())
        alarms += int((raised[1:] != raised[0]).sum())
        pairs += len(moves)
    rate = lambda k: dict(hits=k, of=pairs, share=round(k / pairs, 5), interval=fire_stats.wilson(k, pairs))
    return dict(pairs=pairs, label_flips=rate(changed), alarm_flips=rate(alarms))


def trust(args) -> dict:
    val = photos.fire(args.data, args.cache, "val")
    truth = np.array([fire_data.LABELS.index(c) for c in val.labels])
    files, report = [r["path"] for r in val.rows], {}
    for folder in args.models:
        model, base = Model(folder), None
        for v in model.variants():
            z, features = model.run(v, files)
            row = dict(model=model.manifest["name"], variant=name(v), bytes=v["bytes"]) | quality(z, truth, v)
            row["calibration"] = fire_stats.calibration(z, truth) | dict(used=v["temperature"])
            row["sources"] = by_source(z, truth, val.sources, v)
            row["labels_as_fp32"] = None if base is None else fire_stats.share(z.argmax(1) == base)
            base = z.argmax(1) if base is None else base
            if not args.quick and v.get("target") == "cpu":  # the others differ by a rounding
                row["outliers"] = {k: x for k, x in outliers(model, v, val, features, args).items() if k != "inside"}
                row["shift"] = flips(model, v, val, args.every)
            report[f"{model.manifest['name']} {name(v)}"] = row
            print(f"{model.manifest['name']} {name(v)}: " + brief(row), flush=True)
    return report


def brief(row):
    return (
        " ".join(
            f"{k} {row[k]['share']:.4f}"
            for k in ("labels", "alarm_accuracy", "alarm_recall", "smoke_alarm", "false_alarms")
        )
        + f" ece {row['calibration']['after']}"
        + (f" flips {row['shift']['label_flips']['share']}" if "shift" in row else "")
    )


def gate(args) -> dict:
    """The gate's misses, before the first of the models given."""
    gate_model, model = Model(args.models[0]), Model(args.models[1])
    val = photos.fire(args.data, args.cache, "val")
    truth, files = np.array([fire_data.LABELS.index(c) for c in val.labels]) > 0, [r["path"] for r in val.rows]
    g, m = gate_model.variant("int8", "cpu"), model.variant("int8", "cpu")
    open_score = answers(gate_model.run(g, files)[0], g)[1]
    raised = answers(model.run(m, files)[0], m)[1] >= m["threshold"]
    rows = []
    for t in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3):
        through = open_score >= t
        rows.append(
            dict(
                threshold=t,
                missed=fire_stats.share(~through[truth]),
                silenced=fire_stats.share(~through[~truth]),
                alarms_lost=fire_stats.share(~through[truth & raised]),
                recall_with_gate=fire_stats.share((through & raised)[truth]),
            )
        )
        print(
            f"gate {t}: misses {rows[-1]['missed']['share']:.4f} of fires, "
            f"holds back {rows[-1]['silenced']['share']:.4f} of empty frames",
            flush=True,
        )
    return dict(rows=rows)


def mix(args) -> dict:
    """p = (1-a)·own + a·other, a = sigmoid(bias + slope·(margin(other) - margin(own)))."""
    own, other = Model(args.models[0]), Model(args.models[1])
    val = photos.fire(args.data, args.cache, "val")
    truth, rng = np.array([fire_data.LABELS.index(c) for c in val.labels]), np.random.default_rng(8)
    v, w = own.variant("int8", "cpu"), other.variant("int8", "cpu")
    out = {}
    for condition in ("clean", "spoilt"):
        pictures = list(opened(val)) if condition == "clean" else [spoil(rng, i) for i in opened(val)]
        p, q = (answers(m.run(x, pictures)[0], x)[0] for m, x in ((own, v), (other, w)))
        out[condition] = {
            "own": judged(p, truth, v),
            "other": judged(q, truth, w),
            "mean": judged((p + q) / 2, truth, v),
        }
        for bias in (-3, -2, -1, 0):
            for slope in (0, 2, 4, 8):
                out[condition][f"bias {bias} slope {slope}"] = judged(mixed(p, q, bias, slope), truth, v)
    return out


def mixed(p, q, bias, slope):
    margin = lambda r: np.sort(r, 1)[:, -1] - np.sort(r, 1)[:, -2]
    a = 1 / (1 + np.exp(-(bias + slope * (margin(q) - margin(p)))))[:, None]
    return (1 - a) * p + a * q


def judged(p, truth, variant) -> dict:
    raised = p[:, 1:].sum(1) >= variant["threshold"]
    nll = -np.log(p[np.arange(len(truth)), truth] + 1e-9).mean()
    return dict(
        labels=round(float((p.argmax(1) == truth).mean()), 4),
        alarm_accuracy=round(float((raised == (truth > 0)).mean()), 4),
        alarm_recall=round(float(raised[truth > 0].mean()), 4),
        false_alarms=round(float(raised[truth == 0].mean()), 4),
        nll=round(float(nll), 4),
        calibration_error=round(evaluate.calibration_error(p, truth), 4),
    )


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train report trust infer/models/fire infer/models/fire-nano --data ~/data --out trust.json",
    )
    p.add_argument("kind", choices=["trust", "gate", "mix"])
    p.add_argument(
        "models",
        type=Path,
        nargs="+",
        help="folders with manifest.json (gate: the gate and the model; mix: own and other)",
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--out", type=Path, required=True, help="JSON report")
    p.add_argument("--every", type=int, default=1, help="trust: flips on every n-th photograph (default all)")
    p.add_argument("--synth", type=Path, help="trust: renderings of scripts/synthflight as foreign pictures")
    p.add_argument(
        "--quick",
        action="store_true",
        help="trust: leave out the slow parts (outliers, shifts), which are measured on the INT8 files for CPUs",
    )
    args = p.parse_args(argv)
    result = {"trust": trust, "gate": gate, "mix": mix}[args.kind](args)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
