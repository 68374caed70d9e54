"""Channel pruning of the gesture classifier: accuracy and latency against the share of channels removed.

For each ratio: remove that share of the expanded channels (prune.py), refit the projections, fine-tune, and measure
accuracy on the validation crops before and after, parameters, multiplications, and the latency of the FP32 and INT8
files on one thread.
"""

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import evaluate
import export
import gesture
import hands
import hands_export
import loop
import model as lite0


def macs(net: nn.Module, shape) -> int:
    """Multiplications of the convolutions and linear layers for one input [1,3,H,W]."""
    total = []

    def count(module, inputs, out):
        total.append(out.numel() * module.weight[0].numel())

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    net.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return sum(total)


def latency(path: Path, runs=150) -> float:
    """Milliseconds of one run on one thread, the fastest of many: what the processor needs when nobody disturbs it."""
    session = evaluate.session(path)
    x = {"input": np.zeros(session.get_inputs()[0].shape, np.float32)}
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        session.run(None, x)
        times.append(time.perf_counter() - began)
    return round(1000 * min(times[10:]), 3)


def one(args, studio, ratio, pairs, known) -> dict:
    """Prune to the ratio, fine-tune, measure."""
    net = gesture.start(argparse.Namespace(**vars(args) | dict(prune=ratio)), studio)
    truth = np.array([y for _, y in pairs])
    before = gesture.summary(gesture.scores(net, pairs), truth)
    own = argparse.Namespace(**vars(args) | dict(out=args.out / f"ratio-{ratio:g}"))
    gesture.tune(own, net, studio)
    after = gesture.summary(gesture.scores(net, pairs), truth)
    files = {p: own.out / f"gesture-{p}.onnx" for p in ("fp32", "int8")}
    folded = lite0.fold_batchnorm(copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format))
    export.trace(folded, files["fp32"], (gesture.SIZE, gesture.SIZE), ["logits"])
    hands_export.write_ptq(files["fp32"], files["int8"], known, "minmax")
    row = dict(
        ratio=ratio,
        parameters=sum(p.numel() for p in net.parameters()),
        macs=macs(folded, (3, gesture.SIZE, gesture.SIZE)),
        crops_before_tuning=before["crops"],
        crops=after["crops"],
        false_signals=after["false_signals"],
    )
    return (
        row
        | {f"ms_{p}": latency(path) for p, path in files.items()}
        | {f"bytes_{p}": path.stat().st_size for p, path in files.items()}
    )


def save(args, rows, crops):
    """prune.json: how, and a row for each ratio."""
    how = {k: getattr(args, k) for k in ("steps", "batch", "lr", "freeze", "fold", "seed")}
    report = dict(how, init=args.init.name, crops_n=crops, rows=rows)
    (args.out / "prune.json").write_text(json.dumps(report, indent=1) + "\n")


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train prune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train prune --init infer/models/gesture/gesture-fp32.onnx --steps 200 --data ~/data --out runs/prune",
    )
    p.add_argument("--init", type=Path, required=True, help="last.pt of a fit-gesture run, or gesture-fp32.onnx")
    p.add_argument(
        "--ratios", type=float, nargs="+", default=[0, 0.25, 0.5], help="shares of the expanded channels to remove"
    )
    p.add_argument(
        "--freeze", type=int, default=5, help="blocks kept fixed after the stem while fine-tuning (default 5)"
    )
    p.add_argument("--without", nargs="*", default=[], help="sources to leave out")
    p.add_argument("--fold", action="store_true", help="fold batch norms before fine-tuning: faster, at a low rate")
    loop.arguments(p)
    args = p.parse_args(argv)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    studio = hands.Studio(hands.Pool(args.data, set(args.without)), args.synth)
    crops = gesture.Crops(studio, seed=991)
    known = [crops[i][0] for i in range(96)]
    pairs, rows = gesture.validation(args.data), []
    for ratio in args.ratios:
        rows.append(one(args, studio, ratio, pairs, known))
        print(json.dumps(rows[-1]), flush=True)
    save(args, rows, sum(y != gesture.LABELS.index("none") for _, y in pairs))


if __name__ == "__main__":
    main()
