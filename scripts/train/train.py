"""Fine-tune EfficientNet-Lite0 on one task. Checkpoints are written every 100 steps; the same command continues a run."""
import argparse
import json
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

import data
import model as lite0
import preprocess


class Average:
    """Exponential moving average of a model's parameters and buffers; the average is what gets exported."""

    def __init__(self, model, decay=0.99):
        self.decay, self.state = decay, {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model):
        for k, v in model.state_dict().items():
            if v.is_floating_point():
                self.state[k].lerp_(v, 1 - self.decay)
            else:
                self.state[k].copy_(v)


def freeze(model, blocks):
    """Keep the stem and the first blocks as ImageNet left them: edges and colours carry over, and half of the time is theirs."""
    frozen = [model.stem, *model.blocks[:blocks]] if blocks else []
    for part in frozen:
        part.requires_grad_(False)
    return frozen


def set_train(model, frozen):
    model.train()
    for part in frozen:
        part.eval()


@torch.no_grad()
def accuracy(model, pairs, size, batch=32) -> float:
    """Share of (path, label) pairs that model gets right."""
    model.eval()
    right = 0
    for i in range(0, len(pairs), batch):
        part = pairs[i:i + batch]
        x = np.stack([preprocess.normalise(preprocess.pixels(p, size, size)) for p, _ in part])
        y = model(torch.from_numpy(x).to(memory_format=torch.channels_last)).argmax(1)
        right += (y == torch.tensor([label for _, label in part])).sum().item()
    return right / max(1, len(pairs))


def save(path: Path, **state):
    """Write a checkpoint so that a crash leaves the old one or the new one."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def quiet(_):
    """In a worker: Ctrl-C is for the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def batches(args, start):
    """Batches start..steps of float32 [B,3,H,W] and int64 [B]; batch i always holds samples i*B .. i*B+B-1."""
    samples = data.Samples(args.task, args.data, args.seed, args.synth, args.synth_share)
    order = range(start * args.batch, args.steps * args.batch)
    return DataLoader(samples, args.batch, sampler=order, num_workers=args.workers, worker_init_fn=quiet,
                      prefetch_factor=4 if args.workers else None)


def fit(args) -> Path:
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    labels, size, last = data.LABELS[args.task], data.SIZE[args.task], args.out / "last.pt"
    model = lite0.pretrained(len(labels)).to(memory_format=torch.channels_last)
    if args.init:
        model.load_state_dict(torch.load(args.init, weights_only=True)["average"])
    frozen = freeze(model, args.freeze)
    body = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("fc.")]
    optimiser = torch.optim.AdamW([dict(params=body, lr=args.lr), dict(params=model.fc.parameters(), lr=4 * args.lr)], weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [args.lr, 4 * args.lr], args.steps, pct_start=0.1)
    average, start = Average(model), 0
    if last.exists():
        state = torch.load(last, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        average.state, start = state["average"], state["step"]
        print(f"continue at step {start}", flush=True)

    step = start
    checkpoint = lambda: save(last, model=model.state_dict(), average=average.state, optimiser=optimiser.state_dict(),
                              schedule=schedule.state_dict(), step=step)
    began, losses, right = time.time(), [], []
    for stop in (signal.SIGINT, signal.SIGTERM):  # also when started in the background, where a shell ignores SIGINT
        signal.signal(stop, signal.default_int_handler)
    try:
        for x, y in batches(args, start):
            set_train(model, frozen)
            logits = model(x.to(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, y, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimiser.step()
            schedule.step()
            average.update(model)
            step += 1
            losses.append(loss.item())
            right.append((logits.argmax(1) == y).float().mean().item())
            if step % 20 == 0 or step == args.steps:
                rate = (step - start) / (time.time() - began)
                print(f"step {step}/{args.steps} loss {np.mean(losses[-50:]):.3f} batch accuracy {np.mean(right[-50:]):.3f} "
                      f"{rate * args.batch:.1f} images/s, {(args.steps - step) / rate / 60:.1f} min left", flush=True)
            if step % 100 == 0:
                checkpoint()
    except KeyboardInterrupt:
        checkpoint()
        raise SystemExit(f"\nstopped at step {step}; the same command continues from {last}")
    checkpoint()
    model.load_state_dict(average.state)
    pairs = data.validation(args.task, args.data)
    print(f"validation accuracy (float, averaged weights): {accuracy(model, pairs, size):.4f} of {len(pairs)}")
    return last


def main(argv=None):
    p = argparse.ArgumentParser(prog="train fit", description=__doc__,
                                epilog="example: train fit fire --data ~/data --out runs/fire --steps 800")
    p.add_argument("task", choices=list(data.LABELS))
    p.add_argument("--data", type=Path, required=True, help="data folder, see data.py for its layout")
    p.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    p.add_argument("--synth", type=Path, help="folder with renderings of scripts/synthflight")
    p.add_argument("--synth-share", type=float, default=0.12, help="share of renderings among the samples (default 0.12)")
    p.add_argument("--init", type=Path, help="checkpoint of an earlier run to start from, instead of ImageNet's weights")
    p.add_argument("--steps", type=int, default=800)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=1e-3, help="peak rate of the body; the classifier gets four times it")
    p.add_argument("--freeze", type=int, default=3, help="blocks kept fixed after the stem (default 3; 0: train everything)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--workers", type=int, default=1, help="processes that prepare samples")
    args = p.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "args.json").write_text(json.dumps(vars(args), default=str, indent=2) + "\n")
    fit(args)


if __name__ == "__main__":
    main()
