"""One command for each of the hand models: the steps below, each of which can be run alone and resumes.

--quick runs every step for two batches on a thin copy of the data, to see that the recipe is whole; what it writes is
no model.
"""

import argparse
import csv
import importlib
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "infer/models"
THIN = 30  # of so many files --quick takes one


class Kitchen:
    """Runs the steps with the options that all of them share."""

    def __init__(self, args):
        self.args = args
        folders = dict(data=args.data, synth=args.synth)
        self.common = [str(w) for k, v in folders.items() if v for w in (f"--{k}", v)]

    def path(self, name):
        return self.args.runs / name

    def do(self, module, *words, steps=None, batch=32):
        line = [str(w) for w in words]
        if steps:
            line += ["--steps", str(2 if self.args.quick else steps), "--batch", str(8 if self.args.quick else batch)]
        line += self.common
        print(f"== {module} {' '.join(line)}", flush=True)
        importlib.import_module(module).main(line)

    def export(self, name, *words):
        checkpoint, qat = self.path(f"{name}/last.pt"), self.path(f"{name}-qat/qat.pt")
        few = ["--images", 8, "--held", 4, "--known", 64] if self.args.quick else []
        self.do("hands_export", name, "--checkpoint", checkpoint, "--qat", qat, "--out", self.args.models / name,
                "--version", self.args.version, *words, *few)  # fmt: skip


def gesture(k):
    """Fit, fit again at a lower rate with batch norms folded, then learn the rounding."""
    first, last = k.path("gesture-first"), k.path("gesture")
    k.do("gesture", "--init", k.args.init or "imagenet", "--out", first, "--lr", 4e-4, steps=550)
    low = ["--fold", "--no-bf16", "--lr", 1.5e-4, "--head", 1]
    k.do("gesture", "--init", first / "last.pt", "--out", last, "--seed", 4, *low, steps=260)
    k.do("qat_hands", "gesture", "--init", last / "last.pt", "--out", k.path("gesture-qat"), "--lr", 3e-5, steps=40)
    k.export("gesture", "--threshold", 0.85, "--lower", "ok=1.5", "--pad", 1.15)


def hand(k):
    """Fit twice on composed scenes from the trunk of the gesture classifier, then learn the rounding."""
    start = k.args.init or MODELS / "gesture/gesture-fp32.onnx"
    first, last = k.path("hand-first"), k.path("hand")
    scenes = lambda n: ["--freeze", 3, "--scenes", 16 if k.args.quick else n]
    k.do("hand", "--init", start, "--keep", 0.5, "--lr", 1e-3, *scenes(2500), "--out", first, steps=1100, batch=24)
    again = ["--fold", "--no-bf16", "--head", 1, "--lr", 4e-4, "--seed", 2, *scenes(1800)]
    k.do("hand", "--init", first / "last.pt", "--out", last, *again, steps=280, batch=24)
    rounding = ["--init", last / "last.pt", "--out", k.path("hand-qat"), "--lr", 3e-5]
    k.do("qat_hands", "hand", *rounding, steps=40, batch=24)
    k.export("hand", "--threshold", 0.2)


def thin(data: Path, out: Path) -> Path:
    """A copy of the data folder of links to one file in THIN of each folder; frames and their boxes alike."""
    for folder in sorted(p for p in data.rglob("*") if p.is_dir()):
        files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix != ".csv")
        (out / folder.relative_to(data)).mkdir(parents=True, exist_ok=True)
        for path in files[::THIN]:
            link = out / path.relative_to(data)
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
    with open(data / "gesture_frames/boxes.csv") as file:
        rows = list(csv.DictReader(file))
    with open(out / "gesture_frames/boxes.csv", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(r for r in rows if (out / r["file"]).exists())
    return out


def prepare(args):
    """Fill in what was not given; --quick gets thin data and a folder for its models."""
    args.runs.mkdir(parents=True, exist_ok=True)
    if args.quick:
        args.runs, args.models = args.runs / "quick", args.models or args.runs / "quick/models"
        args.data = thin(args.data, args.runs / "data")
    args.models = args.models or MODELS


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train hand --data ~/data --runs runs --synth runs/synth",
    )
    p.add_argument("name", choices=["gesture", "hand"])
    p.add_argument("--data", type=Path, required=True, help="data folder, see data.py for its layout")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="folder for checkpoints (default runs)")
    p.add_argument("--synth", type=Path, help="renderings of scripts/synthflight, seeds other than 1")
    p.add_argument("--models", type=Path, help="where NAME/manifest.json goes (default infer/models)")
    p.add_argument(
        "--init", type=Path, help="weights to start from (default ImageNet's, or for hand the gesture model)"
    )
    p.add_argument("--version", default="0.0.0-dev")
    p.add_argument("--quick", action="store_true", help="two batches of every step, into RUNS/quick")
    args = p.parse_args(argv)
    prepare(args)
    {"gesture": gesture, "hand": hand}[args.name](Kitchen(args))


if __name__ == "__main__":
    main()
