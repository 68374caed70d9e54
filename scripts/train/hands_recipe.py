"""One command for each of the hand models: the steps below, each of which can be run alone and resumes."""

import argparse
import importlib
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "infer/models"


class Kitchen:
    """Runs the steps with the options that all of them share."""

    def __init__(self, args):
        self.args = args
        self.common = ["--data", args.data, *(["--synth", args.synth] if args.synth else [])]

    def path(self, name):
        return self.args.runs / name

    def do(self, module, *words):
        line = [str(w) for w in (*words, *self.common)]
        print(f"== {module} {' '.join(line)}", flush=True)
        importlib.import_module(module).main(line)

    def export(self, name, threshold):
        checkpoint, qat = self.path(f"{name}/last.pt"), self.path(f"{name}-qat/qat.pt")
        out = self.args.models / name
        self.do("hands_export", name, "--checkpoint", checkpoint, "--qat", qat, "--out", out,
                "--version", self.args.version, "--threshold", threshold)  # fmt: skip


def gesture(k):
    """Fit, fit again at a lower rate with batch norms folded, then learn the rounding."""
    first = k.path("gesture-first")
    k.do("gesture", "--init", k.args.init or "imagenet", "--out", first, "--steps", 550, "--lr", 4e-4)
    again = ["--fold", "--no-bf16", "--steps", 260, "--lr", 1.5e-4, "--head", 1, "--seed", 4]
    k.do("gesture", "--init", first / "last.pt", "--out", k.path("gesture"), *again)
    k.do("qat_hands", "gesture", "--init", k.path("gesture/last.pt"), "--out", k.path("gesture-qat"), *ROUND)
    k.export("gesture", 0.6)


def hand(k):
    """Fit twice on composed scenes from the trunk of the gesture classifier, then learn the rounding."""
    start = k.args.init or k.args.models / "gesture/gesture-fp32.onnx"
    fit = ["--keep", 0.5, "--steps", 1100, "--batch", 24, "--lr", 1e-3, "--freeze", 3, "--scenes", 2500]
    k.do("hand", "--init", start, "--out", k.path("hand-first"), *fit)
    again = ["--fold", "--no-bf16", "--steps", 280, "--batch", 24, "--lr", 4e-4, "--head", 1, "--freeze", 3]
    k.do("hand", "--init", k.path("hand-first/last.pt"), "--seed", 2, "--scenes", 1800, "--out", k.path("hand"), *again)
    k.do("qat_hands", "hand", "--init", k.path("hand/last.pt"), "--out", k.path("hand-qat"), "--batch", 24, *ROUND)
    k.export("hand", 0.4)


ROUND = ["--steps", 40, "--lr", 3e-5]


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train",
        description=__doc__,
        epilog="example: train hand --data ~/data --runs runs --synth runs/synth",
    )
    p.add_argument("name", choices=["gesture", "hand"])
    p.add_argument("--data", type=Path, required=True, help="data folder, see data.py for its layout")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="folder for checkpoints (default runs)")
    p.add_argument("--synth", type=Path, help="renderings of scripts/synthflight, seeds other than 1")
    p.add_argument("--models", type=Path, default=MODELS, help="where NAME/manifest.json goes")
    p.add_argument(
        "--init", type=Path, help="weights to start from (default ImageNet's, or for hand the gesture model)"
    )
    p.add_argument("--version", default="0.0.0-dev")
    args = p.parse_args(argv)
    {"gesture": gesture, "hand": hand}[args.name](Kitchen(args))


if __name__ == "__main__":
    main()
