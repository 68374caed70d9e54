"""Quantisation-aware fine-tuning of a fire classifier for TensorRT's INT8, taught by its own FP32 answers."""

import argparse
import copy
import json
import signal
import time
from pathlib import Path

import numpy as np
import torch

import fire_data
import fire_fit
import nets
import photos
import qat
from loop import Average, save


def prepared(args, size, stream):
    """The network with fake quantisation, its steps fixed on a few batches, and a float copy as teacher."""
    arch = nets.ARCHS[args.name]
    net = nets.Classifier(nets.Arch(arch.blocks, arch.head, size), dropout=0).to(memory_format=torch.channels_last)
    nets.load(net, args.checkpoint, strict=True)
    teacher = copy.deepcopy(net).eval().requires_grad_(False)
    qat.prepare(net)
    with torch.no_grad():
        for _ in range(args.calibrate):
            net(next(stream)[0].to(memory_format=torch.channels_last))
    qat.settle(net)
    return net, teacher


def score(net, args, size):
    store = photos.fire(args.data, args.cache, "val")
    truth = np.array([fire_data.LABELS.index(c) for c in store.labels])
    return fire_fit.summary(fire_fit.predict(net, store, size), truth)


def fit(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    size = args.size
    stream = iter(fire_fit.batches(args, 0, extra=args.calibrate))
    net, teacher = prepared(args, size, stream)
    if args.check:
        print("rounded, before training:", json.dumps(score(net, args, size)), flush=True)
    optimiser = torch.optim.AdamW(net.parameters(), args.lr, weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: fire_fit.rate(s, args))
    average, began = Average(net, 0.95), time.time()
    for step in range(1, args.steps + 1):
        x, y, *_ = next(stream)
        x = x.to(memory_format=torch.channels_last)
        with torch.no_grad():
            want = teacher(x)
        z = net(x)
        loss = 0.3 * fire_fit.loss_of(z, y) + 0.7 * fire_fit.distilled(z, want)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2)
        optimiser.step(), schedule.step(), average.update(net)
        if step % 20 == 0:
            print(
                f"step {step}/{args.steps} loss {loss.item():.3f} "
                f"{step * args.batch / (time.time() - began):.1f} images/s",
                flush=True,
            )
    net.load_state_dict(average.state)
    print("rounded, after training:", json.dumps(score(net, args, size)), flush=True)
    save(
        args.out / "qat.pt",
        average={k: v for k, v in average.state.items() if not k.endswith(".step")},
        steps=qat.steps(net),
    )


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train qat",
        description=__doc__,
        epilog="example: train qat fire --data ~/data --checkpoint runs/fire/last.pt --out runs/fire",
    )
    p.add_argument("name", choices=list(nets.ARCHS))
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--checkpoint", type=Path, required=True, help="trained weights, .pt or shipped FP32 .onnx")
    p.add_argument("--out", type=Path, required=True, help="folder for qat.pt")
    p.add_argument("--synth", type=Path)
    p.add_argument("--bank", type=Path, help="samples of `train bank` instead of fresh ones")
    p.add_argument("--size", type=int)
    p.add_argument("--steps", type=int, default=120)
    p.add_argument(
        "--calibrate", type=int, default=8, help="batches on which the activation steps are chosen (default 8)"
    )
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-5)
    p.add_argument("--check", action=argparse.BooleanOptionalAction, default=True, help="validate before training too")
    p.add_argument("--seed", type=int, default=31)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1)
    args = p.parse_args(argv)
    args.size = args.size or nets.ARCHS[args.name].size
    args.without, args.weights, args.synth_share = None, None, 0.1
    args.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fit(args)
    except KeyboardInterrupt:
        raise SystemExit("\ninterrupted; nothing was written")


if __name__ == "__main__":
    main()
