"""The training loop of the hand models: AdamW, one cycle, averaged weights, checkpoints every 100 steps, clean Ctrl-C,
resume."""

import argparse
import json
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader


class Average:
    """Exponential moving average of a model's parameters and buffers; the average is what gets exported. Its first
    steps forget faster, so that a short run does not keep its beginning."""

    def __init__(self, model, decay=0.99):
        self.decay, self.seen = decay, 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model):
        self.seen += 1
        new = max(1 - self.decay, 9 / (9 + self.seen))
        for k, v in model.state_dict().items():
            if v.is_floating_point():
                self.state[k].lerp_(v, new)
            else:
                self.state[k].copy_(v)


def save(path: Path, **state):
    """Write a checkpoint so that a crash leaves the old one or the new one."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def quiet(_):
    """In a worker: Ctrl-C is for the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def arguments(p):
    """Options that every fit command has."""
    p.add_argument("--data", type=Path, required=True, help="data folder, see data.py for its layout")
    p.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    p.add_argument(
        "--synth", type=Path, help="renderings of scripts/synthflight with gesture/boxes.csv, seeds other than 1"
    )
    p.add_argument("--steps", type=int, default=1500)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=5e-4, help="peak rate of the body; the head gets --head times it")
    p.add_argument("--head", type=float, default=2.0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1, help="processes that prepare samples")
    p.add_argument(
        "--bf16", action=argparse.BooleanOptionalAction, default=True, help="bfloat16 where the processor has it"
    )


def freeze(parts) -> list:
    for part in parts:
        part.requires_grad_(False)
    return parts


def set_train(net, frozen):
    net.train()
    for part in frozen:
        part.eval()


def loader(dataset, args, start):
    order = range(start * args.batch, args.steps * args.batch)
    return DataLoader(
        dataset,
        args.batch,
        sampler=order,
        num_workers=args.workers,
        worker_init_fn=quiet,
        collate_fn=getattr(dataset, "collate", None),
        prefetch_factor=6 if args.workers else None,
    )


class State:
    """Everything that a checkpoint holds."""

    def __init__(self, args, net, head):
        inside = {id(p) for p in head.parameters()}
        body = [p for p in net.parameters() if p.requires_grad and id(p) not in inside]
        groups = [dict(params=body, lr=args.lr), dict(params=list(head.parameters()), lr=args.head * args.lr)]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
        rates = [g["lr"] for g in groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, rates, args.steps, pct_start=0.1)
        self.net, self.average, self.step, self.path = net, Average(net, 0.995), 0, args.out / "last.pt"

    def load(self):
        if not self.path.exists():
            return
        saved = torch.load(self.path, weights_only=True)
        self.net.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])
        self.average.state, self.step = saved["average"], saved["step"]
        self.average.seen = self.step
        print(f"continue at step {self.step}", flush=True)

    def save(self):
        save(
            self.path,
            model=self.net.state_dict(),
            average=self.average.state,
            optimiser=self.optimiser.state_dict(),
            schedule=self.schedule.state_dict(),
            step=self.step,
            widths=widths(self.net),
        )


def widths(net) -> list:
    """Expanded channels of each block, so that a pruned net can be built again."""
    return [block.depthwise[0].out_channels for block in net.blocks]


def run(args, net, frozen, head, dataset, loss):
    """Train net with loss(*batch) until args.steps; afterwards net holds the averaged weights."""
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "args.json").write_text(json.dumps(vars(args), default=str, indent=2) + "\n")
    state = State(args, net, head)
    state.load()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        steps(args, state, frozen, dataset, loss)
    except KeyboardInterrupt:
        state.save()
        raise SystemExit(f"\nstopped at step {state.step}; the same command continues from {state.path}")
    state.save()
    net.load_state_dict(state.average.state)


def steps(args, state, frozen, dataset, loss):
    began, first, losses = time.time(), state.step, []
    for batch in loader(dataset, args, state.step):
        set_train(state.net, frozen)
        value = loss(*batch)
        state.optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 5)
        state.optimiser.step()
        state.schedule.step()
        state.average.update(state.net)
        state.step += 1
        losses.append(value.item())
        if state.step % 20 == 0 or state.step == args.steps:
            rate = (state.step - first) / (time.time() - began)
            print(
                f"step {state.step}/{args.steps} loss {np.mean(losses[-50:]):.3f} {rate * args.batch:.1f} images/s, "
                f"{(args.steps - state.step) / rate / 60:.1f} min left",
                flush=True,
            )
        if state.step % 100 == 0:
            state.save()
