"""Studies that guide choices, on a bank of made samples.

loso    for each source: train briefly without it from ImageNet's weights (the shipped ones have seen every source),
        test on its photographs, beside a run that had all sources
front   architectures x input sizes after equally short runs: alarm accuracy and recall against latency here. The
        architectures that ship start from their shipped weights, the others from ImageNet's, with one shipped
        architecture beside them that does so too; all are taught by the labels and the bank's teacher alike.
Both continue where they stopped. A finished front measured again (same command) trains nothing and takes new times.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import bank
import evaluate
import fire_export
import fire_fit
import fire_plot
import fire_stats
import nets
import photos

MODELS = Path(__file__).resolve().parents[2] / "infer/models"
SOURCES = ["deepfire", "phylake", "aiformankind", "mwd", "palmaerial"]
FRONT = [  # architecture, size, start
    ("fire", 224, "shipped"),
    ("fire", 160, "shipped"),
    ("fire-nano", 176, "shipped"),
    ("fire-nano", 144, "shipped"),
    ("lite1", 160, "imagenet"),
    ("fire", 160, "imagenet"),
    ("fire-gate", 96, "shipped"),
    ("fire-nano", 224, "shipped"),
    ("fire", 192, "shipped"),
    ("fire-nano", 112, "shipped"),
]


def brief_fit(args, arch, size, out, **more):
    """A short run of `train fit` on the bank, `more` being its options; the network with averaged weights."""
    own = dict(data=args.data, cache=args.cache, bank=args.bank, out=out, size=size, steps=args.steps, seed=args.seed)
    options = own | dict(workers=args.workers, every=10**6, lr=1e-3) | more
    last = out / "last.pt"
    if not last.exists() or torch.load(last, weights_only=True)["step"] < args.steps:
        fire_fit.main([arch, *(str(w) for k, v in options.items() for w in (f"--{k}", v))])
    net = nets.Classifier(nets.ARCHS[arch]).to(memory_format=torch.channels_last).eval()
    nets.load(net, last, strict=True)
    return net


def alarm_score(z):
    return evaluate.softmax(z)[:, 1:].sum(1)


def quietest(score, truth, most=0.05) -> float:
    """The lowest limit that at most this share of the fireless photographs exceeds."""
    calm = np.sort(score[truth == 0])[::-1]
    return float(calm[min(int(most * len(calm)), len(calm) - 1)])


def judge(score, truth, limit) -> dict:
    """Alarms at score > limit: recall and false alarms, with intervals; a source may lack one of them."""
    raised, out = score > limit, {}
    if (truth > 0).any():
        out["alarm_recall"] = fire_stats.share(raised[truth > 0])
    if (truth == 0).any():
        out["false_alarms"] = fire_stats.share(raised[truth == 0])
    return out


def stranger(z, truth, known, known_truth) -> dict:
    """What a network does on a source: at p = 0.5; at the limit that 5 % of the fireless photographs of other sources
    exceed; at the limit that 5 % of the source's own exceed (where a day's calibration in the field could take it); and
    the area under its curve, which no limit changes."""
    score, others = alarm_score(z), alarm_score(known)
    out = judge(score, truth, 0.5)
    out["limit_of_others"] = judge(score, truth, quietest(others, known_truth))
    if 0 < (truth > 0).sum() < len(truth):
        out["own_limit"] = judge(score, truth, quietest(score, truth))
        out["auroc"] = fire_stats.auroc(score[truth == 0], score[truth > 0])
    return out


def loso(args) -> dict:
    """Each source as a stranger, and as a friend of a run that differs only in having seen it."""
    store, val = (photos.fire(args.data, args.cache, split) for split in ("train", "val"))
    size, report = args.size or 160, json.loads(args.out.read_text()) if args.out.exists() else {}
    everyone = brief_fit(args, args.arch, size, args.out.parent / "loso-all")
    for source in args.sources or SOURCES:
        without = brief_fit(args, args.arch, size, args.out.parent / f"loso-{source}", without=source)
        rows, others = store.where(only=source), val.where(without=source)
        answers = lambda net: stranger(
            fire_fit.predict(net, store, size, rows),
            fire_export.truth_of(store)[rows],
            fire_fit.predict(net, val, size, others),
            fire_export.truth_of(val)[others],
        )
        report[source] = dict(photographs=len(rows), left_out=answers(without), seen=answers(everyone))
        report[source] |= dict(architecture=args.arch, steps=args.steps, size=size)
        print(source, json.dumps(report[source]), flush=True)
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    return report


def latency(path, size, runs=200) -> dict:
    """Milliseconds of processor time of one thread (which waiting for other work does not lengthen); the fastest tenth
    beside the median."""
    session, x = evaluate.session(path, 1), np.zeros((1, 3, size, size), np.float32)
    times = []
    for _ in range(runs + 5):
        began = time.thread_time()
        session.run(None, {"input": x})
        times.append(1000 * (time.thread_time() - began))
    times = np.sort(times[5:])
    return dict(best_tenth_ms=round(float(times[: runs // 10].mean()), 2), median_ms=round(float(np.median(times)), 2))


def front(args) -> list:
    """One row for each of FRONT: the run, its FP32 and INT8 files, what they answer and how long they take."""
    val, report = photos.fire(args.data, args.cache, "val"), []
    for arch, size, start in FRONT[: args.most]:
        name = f"front-{arch}-{size}-{start}"
        init = dict(init=args.models / arch / f"{arch}-fp32.onnx", lr=2e-4) if start == "shipped" else {}
        net = brief_fit(args, arch, size, args.out.parent / name, distil=0.5, **init)
        files = {p: args.out.parent / name / f"{p}.onnx" for p in ("fp32", "int8")}
        if not files["int8"].exists():
            front_files(args, net, size, files)
        row = dict(architecture=arch, size=size, start=start, steps=args.steps, parameters=nets.parameters(net))
        for precision, path in files.items():
            row[precision] = latency(path, size) | front_answers(path, size, val)
        report.append(row)
        print(json.dumps(row), flush=True)
        args.out.write_text(json.dumps(report, indent=1) + "\n")
        args.out.with_suffix(".svg").write_text(fire_plot.front(report))
    return report


def front_files(args, net, size, files):
    """The FP32 file, and INT8 for CPUs with ranges of 40 of the bank's pictures."""
    whole = nets.Deployed(net, torch.zeros(nets.FEATURES, net.fc.in_features)).to(memory_format=torch.contiguous_format)
    fire_export.write(whole, files["fp32"], size, ["logits", "features", "cam"])
    made = bank.Banked(args.bank, size, 991)
    fire_export.write_ptq(files["fp32"], files["int8"], [made[i][0] for i in range(40)], "minmax")


def front_answers(path, size, val) -> dict:
    """Accuracy on the validation photographs, kept beside the file for the next measurement of its time."""
    kept = path.with_suffix(".npy")
    if not kept.exists():
        np.save(kept, evaluate.logits(path, [r["path"] for r in val.rows], size))
    truth = fire_export.truth_of(val)
    out = fire_fit.summary(np.load(kept), truth)
    for key, count in (("best_alarm", len(truth)), ("recall_at_2", int((truth > 0).sum()))):
        out[f"{key}_interval"] = fire_stats.wilson(round(out[key] * count), count)
    return out


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
    p.add_argument(
        "--arch", default="fire-nano", choices=list(nets.ARCHS), help="loso: which network (default fire-nano)"
    )
    p.add_argument("--size", type=int, help="loso: input side (default 160)")
    p.add_argument("--sources", nargs="+", choices=SOURCES, help="loso: only these; others in the report stay")
    p.add_argument("--most", type=int, default=len(FRONT), help="front: only the first rows (default all)")
    p.add_argument("--steps", type=int, default=220)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--workers", type=int, default=1)
    args = p.parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    {"loso": loso, "front": front}[args.kind](args)


if __name__ == "__main__":
    main()
