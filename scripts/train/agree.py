"""The same figures from Python and from `emberwing eval`, side by side: one model alone, one folder of labelled
photographs.

The two JPEG decoders round their inverse cosine transforms differently (some 3 % of the values, by 1 or 2 of 255),
which may carry a photograph over a threshold; with the pixels of one decoder for both, what is left is the evaluations'
own.
"""

import json
import subprocess
from pathlib import Path

from PIL import Image

import data
import preprocess

BLOCKS = "gate,localiser,vote,mix,segmenter"  # the Python side runs the classifier alone
LIMIT = 0.2  # points


def unpacked(root: Path, labels, out: Path) -> Path:
    """The labelled photographs of root as PNG files in out, decoded once for both sides."""
    for label in labels:
        (out / label).mkdir(parents=True)
        for path in data.images(root / label):
            with Image.open(path) as image:
                preprocess.to_rgb(image).save(out / label / f"{path.stem}.png", compress_level=1)
    return out


def through_go(program, args) -> dict:
    """What PROGRAM eval says of the same manifest, precision and folder."""
    line = [program, "eval", "--json", "--provider", "cpu", "--off", BLOCKS, "--precision", args.precision]
    line += ["--model", str(args.manifest), *(["--method", args.method] if args.method else []), str(args.dir)]
    try:
        done = subprocess.run(line, capture_output=True, text=True)
    except FileNotFoundError:
        raise SystemExit(f"run {program}: not found; scripts/setup leaves it in bin/") from None
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}: {done.stderr.strip()}")
    return figures_of_go(json.loads(done.stdout.splitlines()[0]))


def figures_of_go(report) -> dict:
    out = dict(accuracy=report["accuracy"], calibration_error=report["calibration_error"])
    out |= {f"recall {c['label']}": c["recall"] for c in report["classes"] if c["support"]}
    if alarm := report.get("alarm"):
        out |= dict(alarm_accuracy=alarm["accuracy"], alarm_recall=alarm["recall"])
        out |= dict(false_alarm_rate=alarm["false_alarm_rate"])
    return out


def figures_of_python(report) -> dict:
    keys = ("accuracy", "calibration_error", "alarm_accuracy", "alarm_recall", "false_alarm_rate")
    return {k: report[k] for k in keys if k in report} | {f"recall {c}": r for c, r in report["recall"].items()}


def compare(python, go) -> list:
    """(figure, Python, Go, difference in points) of the figures that both have, in percent."""
    both = [k for k in go if python.get(k) is not None]
    return [(k, 100 * python[k], 100 * go[k], 100 * (go[k] - python[k])) for k in both]


def against(program, args, result) -> dict:
    """Print both sides; the worst difference decides."""
    rows = compare(figures_of_python(result), through_go(program, args))
    worst = max(abs(d) for *_, d in rows)
    if not args.json:
        print(f"{'%':22}{'Python':>9}{'Go':>9}{'points':>9}")
        for name, a, b, d in rows:
            print(f"{name:22}{a:9.2f}{b:9.2f}{d:+9.2f}")
        print(f"worst difference {worst:.2f} points, limit {LIMIT}")
    return dict(
        model=result["model"],
        precision=args.precision,
        images=result["images"],
        worst_points=round(worst, 3),
        figures={k: dict(python=round(a, 2), go=round(b, 2)) for k, a, b, _ in rows},
    )
