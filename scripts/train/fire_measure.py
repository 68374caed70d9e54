"""Measure the shipped models anew and fill their cards: what to run once new weights lie in infer/models.

trust        intervals, calibration, out-of-distribution flags, flips under one pixel (`train report trust`)
gate, mix    what the gate misses and saves; what mixing with fire-nano adds
agree        Python beside Go on the validation photographs, from their JPEG files and from the same pixels
vote         flips with and without the vote over crops, through `emberwing eval`
independent  false alarms on photographs of freely licensed packages
robust       the robustness reports of fire (FP32, INT8) and gesture, JSON and SVG in the models' folders
failures     at most six mistakes that may be shown (`train failures`)
card         the tables of the cards
A step that fails is named at the end; the others run all the same. Reports go to scripts/train/reports.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "infer/models"
PARTS = {"fire": "fire/val", "fire-nano": "fire/val", "gesture": "gesture/val"}


class Bench:
    """The steps, each with the paths that they share."""

    def __init__(self, args):
        self.args, self.reports = args, args.reports
        self.common = ["--data", args.data, "--cache", args.cache]

    def train(self, *words, check=True):
        """One sub-command of `train` in a process of its own; its standard output."""
        print("==", *words, flush=True)
        line = [sys.executable, HERE / "train", *words]
        done = subprocess.run([str(w) for w in line], stdout=subprocess.PIPE, text=True)
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, line)
        return done.stdout

    def eval(self, model, precision, *words):
        """The lines of `emberwing eval --json`."""
        line = [self.args.emberwing, "eval", "--json", "--provider", "cpu", "--model", MODELS / model / "manifest.json"]
        line += ["--precision", precision, *words]
        print("==", *line, flush=True)
        done = subprocess.run([str(w) for w in line], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def folders(self, *names):
        return [MODELS / n for n in names]

    def report(self, kind, *names, more=()):
        out = self.reports / f"{kind}.json"
        self.train("report", kind, *self.folders(*names), *self.common, "--out", out, *more)

    def trust(self):
        synth = ["--synth", self.args.synth] if self.args.synth else []
        self.report("trust", "fire", "fire-nano", "fire-gate", more=["--every", self.args.every, *synth])

    def gate(self):
        self.report("gate", "fire-gate", "fire")

    def mix(self):
        self.report("mix", "fire", "fire-nano")

    def agree(self):
        rows = []
        for model, folder in PARTS.items():
            for precision in ("fp32", "int8"):
                line = ["evaluate", MODELS / model / "manifest.json", "--dir", self.args.data / folder, "--json"]
                line += ["--precision", precision, "--against", self.args.emberwing]
                for pixels, more in (("jpeg", []), ("same", ["--same-pixels"])):
                    rows.append(json.loads(self.train(*line, *more, check=False)) | dict(pixels=pixels))
        save(self.reports / "agree.json", rows)

    def vote(self):
        out = {}
        for name, more in (("whole", []), ("one crop of 90 %", ["--vote", "1:0.1"])):
            words = ["--off", "segmenter,vote" if not more else "segmenter", "--robustness", "--parts", "motion"]
            text = self.eval("fire", "int8", *words, *more, "--limit", self.args.limit, self.args.data / "fire/val")
            last = json.loads(text.splitlines()[-1])
            out[name] = {k: last[k] for k in ("images", "clean", "shifts", "motions")}
        save(self.reports / "vote.json", out)

    def independent(self):
        self.train("independent", "--work", self.args.work, "--emberwing", self.args.emberwing)

    def robust(self):
        listing = self.args.data / "MANIFEST.csv"
        for model, precision, off in (
            ("fire", "int8", "segmenter"),
            ("fire", "fp32", "segmenter"),
            ("gesture", "int8", "localiser"),
        ):
            out = MODELS / model / f"robustness-{precision}"
            words = [
                "--off",
                off,
                "--robustness",
                "--manifest",
                listing,
                "--svg",
                f"{out}.svg",
                "--limit",
                self.args.limit,
            ]
            text = self.eval(model, precision, *words, self.args.data / PARTS[model])
            out.with_suffix(".json").write_text(text.replace(str(self.args.data), "DATA"))

    def failures(self):
        print(self.train("failures", *self.common), end="")

    def card(self):
        print(self.train("card"), end="")


STEPS = ["trust", "gate", "mix", "agree", "vote", "independent", "robust", "failures", "card"]


def save(path: Path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train measure --data ~/data --cache runs/cache --work runs/independent",
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--synth", type=Path, help="renderings of scripts/synthflight, as foreign pictures")
    p.add_argument("--work", type=Path, default=Path("runs/independent"), help="folder for the independent photographs")
    p.add_argument("--emberwing", default=str(HERE.parents[1] / "bin/emberwing"))
    p.add_argument("--reports", type=Path, default=HERE / "reports")
    p.add_argument("--limit", type=int, default=120, help="pictures of the robustness reports (default 120)")
    p.add_argument("--every", type=int, default=2, help="flips on every n-th photograph (default 2)")
    p.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    args = p.parse_args(argv)
    bench, failed = Bench(args), []
    for step in args.steps:
        try:
            getattr(bench, step)()
        except (subprocess.CalledProcessError, OSError, ValueError) as fault:
            print(f"step {step}: {fault}", file=sys.stderr)
            failed.append(step)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; run them again with --steps {' '.join(failed)}")


if __name__ == "__main__":
    main()
