"""Fit a classifier of the fire family. Checkpoints are written every 100 steps; the same command continues a run."""

import argparse
import dataclasses
import json
import math
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

import bank
import fire_data
import nets
import photos
import preprocess
from loop import Average, quiet, save


def loss_of(logits, y, smoothing=0.05):
    """Cross entropy of the three labels, plus half that of alarm (smoke or fire) against none."""
    alarm = logits[:, 1:].logsumexp(1) - logits[:, 0]
    target = (y > 0).float() * (1 - smoothing) + smoothing / 2
    return F.cross_entropy(logits, y, label_smoothing=smoothing) + 0.5 * F.binary_cross_entropy_with_logits(
        alarm, target
    )


def distilled(logits, teacher, warmth=2.0):
    """Distance to the teacher's softened answer (Hinton et al. 2015, arXiv:1503.02531)."""
    log = lambda z: F.log_softmax(z / warmth, 1)
    return F.kl_div(log(logits), log(teacher), log_target=True, reduction="batchmean") * warmth**2


@torch.no_grad()
def predict(net, store, size, rows=None, batch=32) -> np.ndarray:
    """Logits float32 [N,3] of the store's photographs."""
    net.eval()
    out = []
    rows = np.arange(len(store)) if rows is None else rows
    for part in np.array_split(rows, max(1, len(rows) // batch)):
        x = np.stack([preprocess.normalise(preprocess.pixels(store.rows[i]["path"], size, size)) for i in part])
        out.append(net(torch.from_numpy(x).to(memory_format=torch.channels_last)).numpy())
    return np.concatenate(out)


def summary(z, truth) -> dict:
    """What decides between runs: alarm accuracy and recall where 2 % of the fireless alarm, smoke seen, accuracy of
    labels."""
    score = torch.from_numpy(z).softmax(1)[:, 1:].sum(1).numpy()
    quiet_ones = np.sort(score[truth == 0])[::-1]
    limit = quiet_ones[min(int(0.02 * len(quiet_ones)), len(quiet_ones) - 1)]
    raised = score > limit
    quiet_enough = [t for t in np.linspace(0.02, 0.98, 97) if (score > t)[truth == 0].mean() <= 0.02]
    best = max((((score > t) == (truth > 0)).mean() for t in quiet_enough), default=0.0)
    return dict(
        labels=round(float((z.argmax(1) == truth).mean()), 4),
        alarm_at_half=round(float(((score > 0.5) == (truth > 0)).mean()), 4),
        best_alarm=round(float(best), 4),
        recall_at_2=round(float(raised[truth > 0].mean()), 4),
        smoke_label=int((z.argmax(1) == 1)[truth == 1].sum()),
        smoke_alarm=int(raised[truth == 1].sum()),
        smoke=int((truth == 1).sum()),
    )


def freeze(net, count):
    """Keep the stem and the first `count` blocks as they are: edges and colours carry over, and half of the time is
    theirs."""
    for part in [net.stem, *net.blocks[:count]] if count else []:
        part.requires_grad_(False)


def batches(args, start, extra=0):
    """Batches start..steps+extra; batch i always holds samples i*B .. i*B+B-1."""
    if args.bank:
        samples = bank.Banked(args.bank, args.size, args.seed, args.without)
    else:
        scenes = fire_data.Scenes(args.data, args.cache, args.synth, args.without, args.weights, args.synth_share)
        samples = fire_data.Samples(scenes, args.size, args.seed)
    return DataLoader(
        samples,
        args.batch,
        sampler=range(start * args.batch, (args.steps + extra) * args.batch),
        num_workers=args.workers,
        worker_init_fn=quiet,
        prefetch_factor=4 if args.workers else None,
    )


def rate(step, args):
    """Linear warm-up over a twentieth of the steps, then half a cosine down to a hundredth."""
    warm = max(1, args.steps // 20)
    return min(1, (step + 1) / warm) * (0.505 + 0.495 * math.cos(math.pi * min(1, step / args.steps)))


class Run:
    """One training run and its checkpoint."""

    def __init__(self, args):
        torch.manual_seed(args.seed)
        torch.set_num_threads(args.threads)
        self.args, self.last = args, args.out / "last.pt"
        arch = nets.ARCHS[args.arch]
        self.net = nets.Classifier(dataclasses.replace(arch, size=args.size)).to(memory_format=torch.channels_last)
        for path in args.init or []:
            print(f"weights of {path}; fresh: {nets.load(self.net, path) or 'none'}", flush=True)
        freeze(self.net, args.freeze)
        fresh = ("fc.",) if arch.head == 1280 else ("fc.", "head.")  # the head of a cut network is new
        new = [p for n, p in self.net.named_parameters() if p.requires_grad and n.startswith(fresh)]
        body = [p for n, p in self.net.named_parameters() if p.requires_grad and not n.startswith(fresh)]
        self.optimiser = torch.optim.AdamW(
            [dict(params=body, lr=args.lr), dict(params=new, lr=args.head_lr * args.lr)], weight_decay=args.decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda s: rate(s, args))
        self.average, self.step = Average(self.net, 0.995 if args.steps > 600 else 0.99), 0
        self.resume()

    def resume(self):
        if self.last.exists():
            state = torch.load(self.last, weights_only=True)
            self.net.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.schedule.load_state_dict(state["schedule"])
            self.average.state, self.step = state["average"], state["step"]
            print(f"continue at step {self.step}", flush=True)

    def checkpoint(self):
        save(
            self.last,
            model=self.net.state_dict(),
            average=self.average.state,
            optimiser=self.optimiser.state_dict(),
            schedule=self.schedule.state_dict(),
            step=self.step,
        )

    def learn(self, x, y, teacher=None):
        """One step; returns the loss and the share of right labels."""
        self.net.train()
        logits = self.net(x.to(memory_format=torch.channels_last))
        loss = loss_of(logits, y)
        if self.args.distil:
            loss = (1 - self.args.distil) * loss + self.args.distil * distilled(logits, teacher)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2)
        self.optimiser.step()
        self.schedule.step()
        self.average.update(self.net)
        self.step += 1
        return loss.item(), (logits.argmax(1) == y).float().mean().item()

    def fit(self):
        start, began, log = self.step, time.time(), []
        for batch in batches(self.args, start):
            log.append(self.learn(*batch))
            if self.step % 20 == 0 or self.step == self.args.steps:
                speed = (self.step - start) / (time.time() - began)
                loss, right = np.mean(log[-50:], 0)
                print(
                    f"step {self.step}/{self.args.steps} loss {loss:.3f} batch accuracy {right:.3f} "
                    f"{speed * self.args.batch:.1f} images/s, "
                    f"{(self.args.steps - self.step) / speed / 60:.1f} min left",
                    flush=True,
                )
            if self.step % 100 == 0:
                self.checkpoint()
            if self.step % self.args.every == 0 and self.step < self.args.steps:
                self.validate()
        self.checkpoint()
        self.validate()

    def validate(self):
        store = photos.fire(self.args.data, self.args.cache, "val")
        net = nets.Classifier(nets.ARCHS[self.args.arch]).to(memory_format=torch.channels_last)
        net.load_state_dict(self.average.state)
        truth = np.array([fire_data.LABELS.index(c) for c in store.labels])
        result = dict(step=self.step) | summary(predict(net, store, self.args.size), truth)
        print("validation, averaged weights:", json.dumps(result), flush=True)
        with open(self.args.out / "validation.jsonl", "a") as file:
            file.write(json.dumps(result) + "\n")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="train fit",
        description=__doc__,
        epilog="example: train fit fire --data ~/data --cache runs/cache --out runs/fire --steps 1500",
    )
    p.add_argument("arch", choices=list(nets.ARCHS))
    p.add_argument("--data", type=Path, required=True, help="data folder")
    p.add_argument(
        "--cache", type=Path, default=Path("runs/cache"), help="folder for decoded photographs (default runs/cache)"
    )
    p.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    p.add_argument("--synth", type=Path, help="folder with renderings of scripts/synthflight, seeds other than 1")
    p.add_argument("--synth-share", type=float, default=0.1, help="share of renderings among the samples (default 0.1)")
    p.add_argument(
        "--init",
        type=Path,
        action="append",
        help="checkpoint or shipped FP32 ONNX to start from instead of ImageNet's weights",
    )
    p.add_argument("--bank", type=Path, help="samples of `train bank` instead of fresh ones")
    p.add_argument("--distil", type=float, default=0, help="share of the bank's teacher in the loss, 0..1 (default 0)")
    p.add_argument("--weights", type=Path, help="JSON of path -> weight from `train mine`")
    p.add_argument("--without", help="leave this source's training photographs out")
    p.add_argument("--size", type=int, help="input side in pixels (default: the architecture's)")
    p.add_argument("--steps", type=int, default=1500)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=3e-4, help="peak rate of the body (default 3e-4)")
    p.add_argument(
        "--head-lr", type=float, default=3, help="the classifier's rate is this many times the body's (default 3)"
    )
    p.add_argument("--decay", type=float, default=0.01, help="weight decay (default 0.01)")
    p.add_argument(
        "--freeze", type=int, default=3, help="blocks kept fixed after the stem (default 3; 0: train everything)"
    )
    p.add_argument("--every", type=int, default=300, help="validate after so many steps (default 300)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1, help="processes that prepare samples (default 1)")
    return p


def main(argv=None):
    args = parser().parse_args(argv)
    args.size = args.size or nets.ARCHS[args.arch].size
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "args.json").write_text(json.dumps(vars(args), default=str, indent=2) + "\n")
    for stop in (signal.SIGINT, signal.SIGTERM):  # also when started in the background, where a shell ignores SIGINT
        signal.signal(stop, signal.default_int_handler)
    run = Run(args)
    try:
        run.fit()
    except KeyboardInterrupt:
        run.checkpoint()
        raise SystemExit(f"\nstopped at step {run.step}; the same command continues from {run.last}")


if __name__ == "__main__":
    main()
