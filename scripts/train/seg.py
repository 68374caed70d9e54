"""Fit, test and export `fire-seg`: masks of flame and smoke, 56x56 over a frame of 224x224.

Trained on the mask pairs (a fifth, chosen by a hash of the name, is held out for the test) and on composites, whose
masks are exact.
"""

import argparse
import json
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import effects
import evaluate
import fire_data
import fire_fit
import nets
import photos
import preprocess
from loop import Average, quiet, save

SIZE = 224


class Samples(Dataset):
    """Endless samples with known masks: float32 [3,224,224], float32 [2,56,56]."""

    def __init__(self, scenes, seed):
        self.scenes, self.seed = scenes, seed

    def __len__(self):
        return 2**40

    def draw(self, rng):
        kind = rng.choice(["pair", "fire", "smoke", "nofire"], p=[0.45, 0.2, 0.2, 0.15])
        if kind == "pair":
            return self.scenes.flare(rng)
        if kind == "nofire":
            return self.scenes.nofire(rng)
        while True:
            scene, masks = getattr(self.scenes, kind)(rng)
            if masks is not None:
                return scene, masks

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        scene, masks = self.draw(rng)
        return preprocess.normalise(effects.camera(rng, fire_data.to_bytes(scene), SIZE)), masks.astype(np.float32)


def loss_of(z, masks):
    """Cross entropy of every cell plus the Dice loss of the batch."""
    p = z.sigmoid()
    overlap, total = (p * masks).sum((0, 2, 3)), (p + masks).sum((0, 2, 3))
    return F.binary_cross_entropy_with_logits(z, masks) * 4 + (1 - (2 * overlap + 1) / (total + 1)).mean()


def pairs(root: Path, test: bool):
    """(image, mask) files of the held-out fifth or of the rest."""
    return [
        (root / "fire_masks/img" / f"{m.stem}.jpg", m)
        for m in photos.images(root / "fire_masks/mask")
        if fire_data.held_out(m.stem) == test
    ]


def overlaps(run, files, threshold=0.5):
    """IoU of flame and smoke on mask pairs at the masks' own resolution.

    run maps float32 [1,3,224,224] to logits [1,2,56,56], which are enlarged bilinearly. Returns rows (flame, smoke):
    intersection and union in pixels, [N,2,2]."""
    cut, out = float(np.log(threshold / (1 - threshold))), []
    for image, mask in files:
        z = run(preprocess.normalise(preprocess.pixels(image, SIZE, SIZE))[None])[0]
        with Image.open(mask) as m:
            truth = np.asarray(m.convert("L"))
        rows = []
        for map_, value in zip(z, (255, 128)):
            guess = np.asarray(Image.fromarray(map_).resize(truth.shape[::-1], Image.Resampling.BILINEAR)) > cut
            real = truth == value
            rows.append(((guess & real).sum(), (guess | real).sum()))
        out.append(rows)
    return np.array(out, float)


def report(rows) -> dict:
    """Mean over the pictures that hold the class, and over all pixels; a class with few pictures says so by
    `pictures`."""
    out = dict(pictures=len(rows))
    for i, name in enumerate(("flame", "smoke")):
        some = rows[:, i, 1] > 0
        each = rows[some, i, 0] / rows[some, i, 1]
        rng = np.random.default_rng(0)
        means = [rng.choice(each, len(each)).mean() for _ in range(2000)] if len(each) else [0]
        out[name] = dict(
            pictures=int(some.sum()),
            mean_iou=round(float(each.mean()), 4) if len(each) else None,
            interval=[round(float(q), 4) for q in np.quantile(means, [0.025, 0.975])],
            pooled_iou=round(float(rows[:, i, 0].sum() / max(1, rows[:, i, 1].sum())), 4),
        )
    return out


def test(net, root) -> dict:
    net.eval()
    with torch.no_grad():
        return report(overlaps(lambda x: net(torch.from_numpy(x)).numpy(), pairs(root, True)))


def fit(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    net, last = nets.Segmenter().to(memory_format=torch.channels_last), args.out / "last.pt"
    for path in args.init or []:
        print(f"weights of {path}; fresh: {', '.join(nets.load(net, path)) or 'none'}", flush=True)
    fire_fit.freeze(net, args.freeze)
    body = [p for n, p in net.named_parameters() if p.requires_grad and n.startswith("blocks.")]
    path_down = [p for n, p in net.named_parameters() if not n.startswith(("stem.", "blocks."))]
    groups = [dict(params=body, lr=args.lr), dict(params=path_down, lr=10 * args.lr)]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: fire_fit.rate(s, args))
    average, step = Average(net), 0
    if last.exists():
        state = torch.load(last, weights_only=True)
        (
            net.load_state_dict(state["model"]),
            optimiser.load_state_dict(state["optimiser"]),
            schedule.load_state_dict(state["schedule"]),
        )
        average.state, step = state["average"], state["step"]
    scenes = fire_data.Scenes(args.data, args.cache)
    loader = DataLoader(
        Samples(scenes, args.seed),
        args.batch,
        sampler=range(step * args.batch, args.steps * args.batch),
        num_workers=args.workers,
        worker_init_fn=quiet,
        prefetch_factor=4 if args.workers else None,
    )
    keep = lambda: save(
        last,
        model=net.state_dict(),
        average=average.state,
        optimiser=optimiser.state_dict(),
        schedule=schedule.state_dict(),
        step=step,
    )
    began, losses, first = time.time(), [], step
    try:
        for x, masks in loader:
            net.train()
            loss = loss_of(net(x.to(memory_format=torch.channels_last)), masks)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2)
            optimiser.step(), schedule.step(), average.update(net)
            step += 1
            losses.append(loss.item())
            if step % 20 == 0:
                print(
                    f"step {step}/{args.steps} loss {np.mean(losses[-50:]):.3f} "
                    f"{(step - first) * args.batch / (time.time() - began):.1f} images/s",
                    flush=True,
                )
            if step % 100 == 0:
                keep()
    except KeyboardInterrupt:
        keep()
        raise SystemExit(f"\nstopped at step {step}; the same command continues from {last}")
    keep()
    net.load_state_dict(average.state)
    result = dict(step=step) | test(net, args.data)
    (args.out / "test.json").write_text(json.dumps(result, indent=1) + "\n")
    print("held-out mask pairs:", json.dumps(result), flush=True)


def export_segmenter(args):
    """For fire_export: FP32 and INT8 files, tested on the held-out pairs."""
    import fire_export as X

    net = nets.Segmenter()
    nets.load(net, args.checkpoint, strict=True)
    fp32, int8 = args.out / "fire-seg-fp32.onnx", args.out / "fire-seg-int8.onnx"
    X.write(net, fp32, SIZE, ["masks"])
    samples = Samples(fire_data.Scenes(args.data, args.cache), seed=991)
    tensors = [samples[i][0] for i in range(args.images + args.held)]
    notes, variants = X.best_ptq(fp32, int8, tensors[: args.images], tensors[args.images :]), []
    symmetric = args.out / "fire-seg-int8-sym.onnx"
    X.write_symmetric(net, fp32, symmetric, tensors[:40])
    for path, keys in ((fp32, ("fp32",)), (int8, ("int8", "ptq", "cpu")), (symmetric, ("int8", "ptq"))):
        session = evaluate.session(path)
        result = report(overlaps(lambda x: session.run(None, {"input": x})[0], pairs(args.data, True)))
        print(path.name, json.dumps(result), flush=True)
        notes[path.name] = result
        v = X.Variant(path, *keys)
        v.keys |= dict(temperature=1.0, threshold=0.5)
        variants.append(v)
    return SIZE, "segmenter", variants, notes


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train seg",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train seg --data ~/data --out runs/seg --init infer/models/fire/fire-fp32.onnx",
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--out", type=Path, required=True, help="folder for checkpoints and test.json")
    p.add_argument("--init", type=Path, action="append", help="weights of `fire` or of an earlier run to start from")
    p.add_argument("--steps", type=int, default=450)
    p.add_argument("--batch", type=int, default=24)
    p.add_argument("--lr", type=float, default=4e-4, help="peak rate of the encoder; ten times that for what is new")
    p.add_argument("--freeze", type=int, default=5, help="blocks kept fixed after the stem (default 5)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1)
    args = p.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "args.json").write_text(json.dumps(vars(args), default=str, indent=2) + "\n")
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    fit(args)


if __name__ == "__main__":
    main()
