"""ONNX Runtime's Python quantiser against `emberwing quantize`: same FP32 file, same calibration pictures, same evaluation
pictures, same runtime, one run in which the files take turns (`emberwing bench`).

For our fire and gesture models, and for the architectures that train.py has written to --runs. Results go to results.json,
and the table to standard output.

theirs: QDQ, uint8 activations, int8 weights per channel, min-max, after quant_pre_process: what its documentation advises.
theirs-default: the same with the defaults of quantize_static, int8 activations and weights per tensor.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "train"))
import preprocess  # noqa: E402

LABELS = ["nofire", "smoke", "fire"]
OURS = {"fire": "fire", "fire-nano": "fire", "gesture": "gesture"}  # shipped classifiers and their task
VARIANTS = {
    "theirs": dict(per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, quant_format=QuantFormat.QDQ),
    "theirs-default": {},
}


class Pictures(CalibrationDataReader):
    """Feeds the pictures of a folder, prepared as bench prepares them."""

    def __init__(self, folder: Path, manifest: dict):
        spec = manifest["input"]
        _, _, height, width = spec["shape"]
        self.name = spec["name"]
        self.files = iter(sorted(folder.iterdir()))
        self.size, self.mean, self.std = (width, height), np.float32(spec["mean"]), np.float32(spec["std"])

    def get_next(self):
        path = next(self.files, None)
        if path is None:
            return None
        x = (preprocess.pixels(path, *self.size).astype(np.float32) / 255 - self.mean) / self.std
        return {self.name: np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32)}


def theirs(fp32: Path, out: Path, calibration: Path, manifest: dict, options: dict):
    """Write a file with the Python quantiser, and pin what old runtimes read."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        quantize_static(str(prepared), str(out), Pictures(calibration, manifest), **options)
    proto = onnx.load(out)
    proto.ir_version = min(proto.ir_version, 8)
    onnx.save(proto, out)


def ours(args, fp32: Path, out: Path, calibration: Path):
    run([args.program, "quantize", "--in", fp32, "--calib", calibration, "--target", "cpu-vnni", "--out", out, "--images", 0])


def run(command) -> str:
    """Run a program, with its progress on our standard error."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def spread(folder: Path, count: int, into: Path):
    """Link count pictures of folder/<class>/*, evenly spread, so that both quantisers read the same folder."""
    files = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if into.exists():
        return
    into.mkdir()
    for i in range(min(count, len(files))):
        source = files[i * len(files) // min(count, len(files))]
        os.symlink(source.resolve(), into / f"{i:05d}{source.suffix.lower()}")


def manifest_of(path: Path) -> dict:
    """A manifest for an architecture on the fire task."""
    proto = onnx.load(path)
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    fire = json.loads((ROOT / "infer/models/fire/manifest.json").read_text())
    blob = path.read_bytes()
    return dict(
        name=path.stem.replace("_", "-"), task="fire", version="0", description=f"{path.stem} on the fire set", licence="Apache-2.0", labels=LABELS,
        input=fire["input"] | dict(name="input", shape=shape), output=dict(name="logits", shape=[1, len(LABELS)], kind="logits"),
        alarm=dict(labels=["smoke", "fire"]), decision=dict(window=1, agree=1, release=0.5, dwell_seconds=0),
        variants=[dict(precision="fp32", file=path.name, sha256=hashlib.sha256(blob).hexdigest(), bytes=len(blob), temperature=1, threshold=0.5)])


def subjects(args, work: Path):
    """Yield (name, manifest file, task) of everything to compare."""
    for name, task in OURS.items():
        yield name, ROOT / "infer/models" / name / "manifest.json", task
    for path in sorted(args.runs.glob("*.onnx")) if args.runs else []:
        folder = work / path.stem
        folder.mkdir(exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
        (folder / "manifest.json").write_text(json.dumps(manifest_of(path)))
        yield path.stem, folder / "manifest.json", "fire"


def compare(args, work: Path, name: str, manifest: Path, task: str) -> dict:
    """Quantise with both and let the files take turns. What is in the work folder already is not made again."""
    declared = json.loads(manifest.read_text())
    file = next(v["file"] for v in declared["variants"] if v["precision"] == "fp32")
    calibration, folder = work / f"{name}-calibration", work / f"{name}-files"
    spread(args.data / task / "train", args.images, calibration)
    folder.mkdir(exist_ok=True)
    if not (folder / "ours.onnx").exists():
        ours(args, manifest.parent / file, folder / "ours.onnx", calibration)
    for variant in args.variants:
        if not (folder / f"{variant}.onnx").exists():
            theirs(manifest.parent / file, folder / f"{variant}.onnx", calibration, declared, VARIANTS[variant])
    if args.prepare:
        return {}
    files, lines = ",".join(f"{n}={folder / n}.onnx" for n in ["ours", *args.variants]), folder / "bench.jsonl"
    if not lines.exists():
        lines.write_text(run([args.program, "bench", "--provider", "cpu", "--threads", 1, "--model", manifest, "--modes", "fp32", "--files", files,
                              "--turns", args.turns, "--idle", "0", "--no-memory", "--limit", args.limit, "--json", args.data / task / "val"]))
    return summary(name, [json.loads(line) for line in lines.read_text().splitlines()], args.images)


def summary(name: str, lines: list, images: int) -> dict:
    """What the table needs, without the answers to every picture."""
    head = next(line for line in lines if line["kind"] == "run")
    modes = {}
    for m in (line for line in lines if line["kind"] == "mode"):
        a = m["accuracy"]
        modes[m["mode"]] = dict(
            accuracy=a["accuracy"], drop={k: a["drop"][k] for k in ["drop", "interval_95", "lost", "gained", "p"]} if "drop" in a else None,
            p50_ms=m["latency_ms"]["p50"], cpu_p50_ms=m["latency_ms"]["cpu_p50"], bytes=m["bytes"],
            **{k: {x: m[k][x] for x in ["median", "interval_95"]} for k in ["speed_ratio", "cpu_ratio"] if k in m})
    return dict(model=name, pictures=head["images"], calibration=images, environment=head["environment"], modes=modes)


def table(results: list):
    """Markdown: drops in points, with right answers lost and gained, and speeds as ratios to FP32 in the same run, with 95 % intervals."""
    names = ["ours", *VARIANTS]
    print("| model | FP32 | " + " | ".join(f"{n}: drop" for n in names) + " | " + " | ".join(f"{n}: x FP32" for n in names) + " |")
    print("|---" * (2 + 2 * len(names)) + "|")
    for r in results:
        cells = [r["model"], f"{100 * r['modes']['fp32']['accuracy']:.1f} %"]
        for n in names:
            if n not in r["modes"]:
                cells.append("not measured")
                continue
            d = r["modes"][n]["drop"]
            cells.append(f"{100 * d['drop']:+.2f} ({100 * d['interval_95']['low']:+.2f}..{100 * d['interval_95']['high']:+.2f}), "
                         f"{d['lost']} lost, {d['gained']} gained")
        for n in names:
            if n not in r["modes"]:
                cells.append("not measured")
                continue
            s = r["modes"][n]["speed_ratio"]
            cells.append(f"{s['median']:.2f} ({s['interval_95']['low']:.2f}..{s['interval_95']['high']:.2f})")
        print("| " + " | ".join(cells) + " |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="example: python compare.py --data ~/data --runs runs")
    p.add_argument("--data", type=Path, required=True, help="folder with fire/ and gesture/, each with train/<class> and val/<class>")
    p.add_argument("--runs", type=Path, help="folder with the ONNX files of train.py; without it only our models")
    p.add_argument("--program", type=Path, default=ROOT / "bin/emberwing")
    p.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    p.add_argument("--only", nargs="+", help="names of the models to compare; default all; others keep their line in --out")
    p.add_argument("--images", type=int, default=200, help="calibration pictures")
    p.add_argument("--limit", type=int, default=0, help="evaluation pictures; 0 is all")
    p.add_argument("--turns", type=int, default=15)
    p.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="of their quantiser; default all")
    p.add_argument("--work", type=Path, help="folder that keeps the files, so that an interrupted run goes on")
    p.add_argument("--prepare", action="store_true", help="only write the files into --work; the next run measures them, when the machine is quiet")
    p.add_argument("--table", action="store_true", help="only print the table of --out")
    args = p.parse_args()
    results = {r["model"]: r for r in json.loads(args.out.read_text())} if args.out.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        for name, manifest, task in [] if args.table else subjects(args, work):
            if not args.only or name in args.only:
                found = compare(args, work, name, manifest, task)
                if args.prepare:
                    print(f"{name}: files are written", flush=True)
                    continue
                results[name] = found
                args.out.write_text(json.dumps(list(results.values()), indent=1) + "\n")
    table(list(results.values()))


if __name__ == "__main__":
    main()
