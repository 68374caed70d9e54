"""One command for each shipped model of the fire family: the steps below, each of which can be run alone and
resumes.

--quick runs every step a hundredth as long, to see that the pipeline works from photographs to a manifest; what comes
out knows nothing, and goes to RUNS/models.
"""

import argparse
import importlib
import json
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "infer/models"


QUICK = {"steps": 2, "count": 128}  # option: its least value in a quick run
BLOCKS = {"fire": {"segmenter": {"model": "fire-seg"}}}  # of the manifests, beside the model itself


class Kitchen:
    """Runs the sub-commands with the options that all of them share."""

    def __init__(self, args):
        self.args, self.runs = args, args.runs
        self.common = ["--data", str(args.data), "--cache", str(args.runs / "cache")]
        self.synth = ["--synth", str(args.synth)] if args.synth else []

    def path(self, name):
        return str(self.runs / name)

    def do(self, module, *words, synth=True, **options):
        """One sub-command; options become --name value."""
        if self.args.quick:
            options |= {k: max(least, options[k] // 100) for k, least in QUICK.items() if k in options}
        flags = [str(w) for name, value in options.items() for w in (f"--{name}", value)]
        line = [*map(str, words), *flags, *self.common, *(self.synth if synth else [])]
        print(f"== {module} {' '.join(line)}", flush=True)
        importlib.import_module(module).main(line)

    def export(self, name, checkpoint, **more):
        if name in BLOCKS:
            more["blocks"] = json.dumps(BLOCKS[name])
        if self.args.quick:
            more |= dict(images=20, held=5)
        out = self.args.models / name
        self.do("fire_export", name, checkpoint=checkpoint, out=out, version=self.args.version, **more)

    def bank(self, **more):
        """Samples for the small models, with the answers of `fire`."""
        self.do("bank", out=self.path("bank"), count=6000, seed=950, teacher=self.fire(), **more)
        return self.path("bank")

    def fire(self):
        """The weights of `fire`: this folder's run, or the shipped ones."""
        mine = self.runs / "fire/soup.pt"
        return str(mine if mine.exists() else MODELS / "fire/fire-fp32.onnx")


def fire(k):
    """Two rounds with the examples weighed up that the start gets wrong, the second from the mean of the start and the
    first; then the mean of all three; rounding learnt last."""
    names = ("first", "b", "c", "hard.json", "half.pt", "soup.pt")
    first, b, c, hard, half, soup = (k.path(f"fire/{n}") for n in names)
    start = str(k.args.init or f"{first}/last.pt")
    if not k.args.init:
        k.do("fire_fit", "fire", out=first, steps=1500, lr=2e-4)
    k.do("fire_mine", synth=False, checkpoint=start, out=hard, seed=10)
    k.do("fire_fit", "fire", out=b, steps=420, lr=1.5e-4, seed=41, weights=hard, init=start)
    k.do("fire_soup", start, f"{b}/last.pt", synth=False, out=half)
    k.do("fire_fit", "fire", out=c, steps=300, lr=1e-4, seed=42, weights=hard, init=half)
    k.do("fire_soup", start, f"{b}/last.pt", f"{c}/last.pt", synth=False, out=soup)
    bank = k.bank(weights=hard)
    k.do("fire_qat", "fire", checkpoint=soup, out=k.path("fire"), steps=60, calibrate=6, batch=24, bank=bank)
    k.export("fire", soup, qat=k.path("fire/qat.pt"))


def nano(k):
    """A round on labels and the answers of `fire`, and the mean of it and its start; rounding learnt last."""
    bank, b, soup = k.bank(), k.path("nano/b"), k.path("nano/soup.pt")
    start = str(k.args.init or k.fire())
    steps = 400 if k.args.init else 1500
    k.do("fire_fit", "fire-nano", out=b, bank=bank, steps=steps, lr=3e-4, freeze=1, seed=22, distil=0.6, init=start)
    parts = [f"{b}/last.pt"] + ([start] if k.args.init else [])
    k.do("fire_soup", *parts, synth=False, arch="fire-nano", out=soup)
    k.do("fire_qat", "fire-nano", checkpoint=soup, out=k.path("nano"), bank=bank, steps=120, calibrate=6, batch=24)
    k.export("fire-nano", soup, qat=k.path("nano/qat.pt"))


def gate(k):
    a = k.path("gate")
    k.do("fire_fit", "fire-gate", out=a, bank=k.bank(), steps=600, lr=8e-4, freeze=0, init=k.fire())
    k.export("fire-gate", f"{a}/last.pt")


def segmenter(k):
    k.do("seg", synth=False, out=k.path("seg"), init=k.fire(), steps=680)
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
        "--init",
        type=Path,
        help="fire, fire-nano: weights to start from, .pt or shipped FP32 .onnx (default ImageNet's)",
    )
    p.add_argument(
        "--models", type=Path, help="where <name>/manifest.json goes (default infer/models; quick: RUNS/models)"
    )
    p.add_argument("--version", default="0.0.0-dev")
    p.add_argument("--quick", action="store_true", help="a hundredth of the steps: does the pipeline work?")
    args = p.parse_args(argv)
    args.models = args.models or (args.runs / "models" if args.quick else MODELS)
    args.runs.mkdir(parents=True, exist_ok=True)
    RECIPES[args.name](Kitchen(args))


if __name__ == "__main__":
    main()
