"""One command for each shipped model of the fire family: the steps below, each of which can be run alone and
resumes."""

import argparse
import importlib
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "infer/models"


class Kitchen:
    """Runs the sub-commands with the options that all of them share."""

    def __init__(self, args):
        self.args, self.runs = args, args.runs
        self.common = ["--data", str(args.data), "--cache", str(args.runs / "cache")]
        self.synth = ["--synth", str(args.synth)] if args.synth else []

    def path(self, name):
        return str(self.runs / name)

    def do(self, module, *words, synth=True):
        line = [*map(str, words), *self.common, *(self.synth if synth else [])]
        print(f"== {module} {' '.join(line)}", flush=True)
        importlib.import_module(module).main(line)

    def export(self, name, checkpoint, *more):
        self.do(
            "fire_export",
            name,
            "--checkpoint",
            checkpoint,
            "--out",
            self.args.models / name,
            "--version",
            self.args.version,
            *more,
        )

    def bank(self):
        """Samples for the small models, with the answers of `fire`."""
        self.do("bank", "--out", self.path("bank"), "--count", 14000, "--teacher", self.fire())
        return self.path("bank")

    def fire(self):
        """The weights of `fire`: this folder's run, or the shipped ones."""
        mine = self.runs / "fire/soup.pt"
        return str(mine if mine.exists() else self.args.models / "fire/fire-fp32.onnx")


def fire(k):
    """Two rounds from the weights before, hard examples weighed up in the second; the mean of both; rounding learnt
    last."""
    start = ["--init", k.args.init] if k.args.init else []
    k.do("fire_fit", "fire", "--out", k.path("fire/a"), "--steps", 800, "--lr", 2e-4, *start)
    k.do("fire_mine", "--checkpoint", k.path("fire/a/last.pt"), "--out", k.path("fire/hard.json"), synth=False)
    k.do(
        "fire_fit",
        "fire",
        "--out",
        k.path("fire/b"),
        "--steps",
        400,
        "--lr",
        1e-4,
        "--seed",
        1,
        "--weights",
        k.path("fire/hard.json"),
        "--init",
        k.path("fire/a/last.pt"),
    )
    k.do(
        "fire_soup",
        "--out",
        k.path("fire/soup.pt"),
        "--all",
        k.path("fire/a/last.pt"),
        k.path("fire/b/last.pt"),
        synth=False,
    )
    k.do("fire_qat", "fire", "--checkpoint", k.path("fire/soup.pt"), "--out", k.path("fire"), "--steps", 100)
    k.export("fire", k.path("fire/soup.pt"), "--qat", k.path("fire/qat.pt"))


def nano(k):
    bank = k.bank()
    k.do(
        "fire_fit",
        "fire-nano",
        "--out",
        k.path("nano/a"),
        "--bank",
        bank,
        "--distil",
        0.6,
        "--steps",
        1200,
        "--lr",
        6e-4,
        "--freeze",
        1,
        "--init",
        k.fire(),
    )
    k.do(
        "fire_qat",
        "fire-nano",
        "--checkpoint",
        k.path("nano/a/last.pt"),
        "--out",
        k.path("nano"),
        "--bank",
        bank,
        "--steps",
        150,
    )
    k.export("fire-nano", k.path("nano/a/last.pt"), "--qat", k.path("nano/qat.pt"))


def gate(k):
    k.do(
        "fire_fit",
        "fire-gate",
        "--out",
        k.path("gate/a"),
        "--bank",
        k.bank(),
        "--distil",
        0.5,
        "--steps",
        1500,
        "--lr",
        1e-3,
        "--freeze",
        0,
        "--init",
        k.fire(),
    )
    k.export("fire-gate", k.path("gate/a/last.pt"))


def segmenter(k):
    k.do("seg", "--out", k.path("seg"), "--init", k.fire(), synth=False)
    k.export("fire-seg", k.path("seg/last.pt"))


RECIPES = {"fire": fire, "fire-nano": nano, "fire-gate": gate, "fire-seg": segmenter}


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train", description=__doc__, epilog="example: train fire --data ~/data --runs runs --synth runs/synth"
    )
    p.add_argument("name", choices=list(RECIPES))
    p.add_argument("--data", type=Path, required=True, help="data folder, see photos.py and fire_data.py")
    p.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder for checkpoints and decoded photographs (default runs)"
    )
    p.add_argument("--synth", type=Path, help="renderings of scripts/synthflight, seeds other than 1")
    p.add_argument(
        "--init", type=Path, help="fire: earlier weights to start from, .pt or shipped FP32 .onnx (default ImageNet's)"
    )
    p.add_argument("--models", type=Path, default=MODELS, help="where <name>/manifest.json goes")
    p.add_argument("--version", default="0.0.0-dev")
    args = p.parse_args(argv)
    RECIPES[args.name](Kitchen(args))


if __name__ == "__main__":
    main()
