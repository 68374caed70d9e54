"""Studies that guide choices, on a bank of made samples.

loso    for each source: train briefly without it from ImageNet's weights (the shipped ones have seen every source), test on
        its photographs, beside a run that had all sources
front   architectures x input sizes with the shipped weights: alarm accuracy and recall against latency on this machine
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import bank
import evaluate
import fire_data
import fire_export
import fire_fit
import fire_stats
import nets
import photos

MODELS = Path(__file__).resolve().parents[2] / "infer/models"
SOURCES = ["deepfire", "phylake", "aiformankind", "mwd", "palmaerial"]
FRONT = [
    ("fire", 224),
    ("fire", 192),
    ("fire", 160),
    ("fire", 128),
    ("fire-nano", 224),
    ("fire-nano", 176),
    ("fire-nano", 144),
    ("fire-nano", 112),
    ("fire-gate", 128),
    ("fire-gate", 96),
]


def brief_fit(args, arch, size, out, without=None):
    """A short run of `train fit` from ImageNet; the network with averaged weights."""
    fit = [
        "--data",
        str(args.data),
        "--cache",
        str(args.cache),
        "--bank",
        str(args.bank),
        "--out",
        str(out),
        "--size",
        str(size),
        "--steps",
        str(args.steps),
        "--lr",
        "1e-3",
        "--every",
        "100000",
        "--seed",
        str(args.seed),
        "--workers",
        str(args.workers),
    ]
    fire_fit.main([arch, *fit, *(["--without", without] if without else [])])
    net = nets.Classifier(nets.ARCHS[arch]).to(memory_format=torch.channels_last).eval()
    nets.load(net, out / "last.pt", strict=True)
    return net


def judge(z, truth) -> dict:
    """At p(alarm) >= 0.5: recall of alarms and false alarms, with intervals; a source may lack one of them."""
    score = evaluate.softmax(z)[:, 1:].sum(1)
    raised, out = score >= 0.5, {}
    if (truth > 0).any():
        out["alarm_recall"] = fire_stats.share(raised[truth > 0])
    if (truth == 0).any():
        out["false_alarms"] = fire_stats.share(raised[truth == 0])
    return out


def loso(args) -> dict:
    """Each source as a stranger, and as a friend of a run that differs only in having seen it."""
    store, size, report = photos.fire(args.data, args.cache, "train"), args.size or 160, {}
    truth = np.array([fire_data.LABELS.index(c) for c in store.labels])
    everyone = brief_fit(args, "fire-nano", size, args.out.parent / "loso-all")
    for source in SOURCES:
        rows = store.where(only=source)
        stranger = brief_fit(args, "fire-nano", size, args.out.parent / f"loso-{source}", source)
        report[source] = dict(
            photographs=len(rows),
            left_out=judge(fire_fit.predict(stranger, store, size, rows), truth[rows]),
            seen=judge(fire_fit.predict(everyone, store, size, rows), truth[rows]),
        )
        print(source, json.dumps(report[source]), flush=True)
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    return report


def latency(path, size, runs=60) -> dict:
    """Milliseconds of one thread: the fastest tenth is reported beside the median, other work disturbs."""
    session, x = evaluate.session(path, 1), np.zeros((1, 3, size, size), np.float32)
    times = []
    for _ in range(runs + 5):
        began = time.perf_counter()
        session.run(None, {"input": x})
        times.append(1000 * (time.perf_counter() - began))
    times = np.sort(times[5:])
    return dict(best_tenth_ms=round(float(times[: runs // 10].mean()), 2), median_ms=round(float(np.median(times)), 2))


def front(args) -> list:
    """The shipped weights at several input sizes, not trained anew: the networks pool what they see, so any size runs."""
    val = photos.fire(args.data, args.cache, "val")
    truth, report = np.array([fire_data.LABELS.index(c) for c in val.labels]), []
    for arch, size in FRONT:
        net = nets.Classifier(nets.ARCHS[arch]).eval()
        nets.load(net, args.models / arch / f"{arch}-fp32.onnx", strict=True)
        files = [args.out.parent / f"front-{arch}-{size}-{p}.onnx" for p in ("fp32", "int8")]
        whole = nets.Deployed(net, torch.zeros(nets.FEATURES, net.fc.in_features))
        fire_export.write(whole, files[0], size, ["logits", "features", "cam"])
        tensors = [bank.Banked(args.bank, size, 991)[i][0] for i in range(30)]
        fire_export.write_ptq(files[0], files[1], tensors, "minmax")
        z = evaluate.logits(files[1], [r["path"] for r in val.rows], size)
        row = dict(architecture=arch, size=size, trained_at=nets.ARCHS[arch].size, parameters=nets.parameters(net))
        row |= dict(fp32=latency(files[0], size), int8=latency(files[1], size)) | fire_fit.summary(z, truth)
        report.append(row)
        print(json.dumps(row), flush=True)
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    return report


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train loso --data ~/data --bank runs/bank --out runs/loso.json",
    )
    p.add_argument("kind", choices=["loso", "front"])
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--bank", type=Path, required=True, help="a bank of `train bank`")
    p.add_argument("--out", type=Path, required=True, help="JSON report; runs lie beside it")
    p.add_argument("--models", type=Path, default=MODELS, help="front: folder with the shipped models")
    p.add_argument("--size", type=int, help="loso: input side (default 160)")
    p.add_argument("--steps", type=int, default=220)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--workers", type=int, default=1)
    args = p.parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    {"loso": loso, "front": front}[args.kind](args)


if __name__ == "__main__":
    main()
