"""Quantisation-aware training of the hand localiser or the gesture classifier, for TensorRT's INT8 (see qat.py)."""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import gesture
import hand
import hands
import loop
import model as lite0
import prune
import qat

SKIP = {"gesture": (), "hand": ("out",)}  # layers that stay float


def build(args, studio):
    """Folded net with fake quantisation, its samples, and the loss of one batch."""
    if args.name == "gesture":
        net, samples = lite0.fold_batchnorm(prune.load(args.init).eval()), gesture.Crops(studio, args.seed)
        return net, samples, lambda y, truth: F.cross_entropy(y, truth, label_smoothing=0.05)
    return lite0.fold_batchnorm(hand.load(args.init).eval()), hand.Scenes(studio, args.seed, 1500), hand.loss


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train qat-hands",
        description=__doc__,
        epilog="example: train qat-hands gesture --init runs/gesture/last.pt --data ~/data --out runs/qat",
    )
    p.add_argument("name", choices=list(SKIP))
    p.add_argument("--init", type=Path, required=True, help="last.pt of the float run")
    loop.arguments(p)
    args = p.parse_args(argv)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    studio = hands.Studio(hands.Pool(args.data), args.synth)
    net, samples, loss = build(args, studio)
    qat.prepare(net.to(memory_format=torch.channels_last), SKIP[args.name])
    with torch.no_grad():
        for x, _ in itertools.islice(loop.loader(samples, args, 0), 4):
            net(x)
    qat.settle(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, args.steps)
    average, losses = loop.Average(net, 0.98), []
    for step, (x, y) in enumerate(loop.loader(samples, args, 0), 1):
        value = loss(net(x.to(memory_format=torch.channels_last)), y)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimiser.step()
        schedule.step()
        average.update(net)
        losses.append(value.item())
        if step % 20 == 0:
            print(f"step {step}/{args.steps} loss {np.mean(losses[-50:]):.3f}", flush=True)
    loop.save(args.out / "qat.pt", average=average.state, steps=qat.steps(net))


if __name__ == "__main__":
    main()
