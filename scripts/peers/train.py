"""Train the architectures of architectures.py on the fire set, so that their accuracy means something.

From scratch except those with ImageNet features, which stay frozen under a new classifier. Minutes for each on
two idle cores; the accuracies are not the architectures' best, only equal ground for both quantisers.
"""
import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

import architectures
import preprocess

LABELS = ["nofire", "smoke", "fire"]


def cached(root: Path, split: str, size: int, cache: Path):
    """uint8 [N,size,size,3], labels and paths of a split; decoded once."""
    files = [(p, i) for i, label in enumerate(LABELS) for p in sorted((root / "fire" / split / label).iterdir())]
    store = cache / f"{split}-{size}.npy"
    if not store.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(store, np.stack([preprocess.pixels(p, size, size) for p, _ in files]))
    return np.load(store), np.array([y for _, y in files]), [str(p) for p, _ in files]


def tensor(rgb) -> torch.Tensor:
    return torch.from_numpy(preprocess.normalise(rgb))


def batch(x, rng, index, size):
    """Random square of 60 to 100 % of the side, flipped half of the time, resized to size."""
    out = []
    for i in index:
        side = int(x.shape[1] * rng.uniform(0.6, 1))
        top, left = rng.integers(0, x.shape[1] - side + 1, 2)
        crop = tensor(x[i, top:top + side, left:left + side][None])
        out.append(nn.functional.interpolate(crop, (size, size), mode="bilinear", antialias=True))
    y = torch.cat(out)
    return y.flip(-1) if rng.random() < 0.5 else y


def balanced(labels, rng, n):
    """Indices with fire and no fire half each; smoke as often as it is."""
    fire, none = np.flatnonzero(labels > 0), np.flatnonzero(labels == 0)
    return np.concatenate([rng.choice(fire, n // 2), rng.choice(none, n - n // 2)])


def answers(path, x):
    """Outputs of an ONNX file for pictures [N,size,size,3]; ONNX Runtime is several times faster here than torch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": preprocess.normalise(rgb[None])})[0] for rgb in x])


def features(net, x, size):
    """What the classifier gets, [N,channels]."""
    head, net.classifier = net.classifier, nn.Identity()
    with tempfile.TemporaryDirectory() as folder:
        architectures.export(net, Path(folder) / "features.onnx", size)
        net.classifier = head
        return torch.from_numpy(answers(Path(folder) / "features.onnx", x))


def train_head(net, x, labels, rng, size):
    """A classifier over frozen features of up to 1500 pictures."""
    index = rng.permutation(len(x))[:1500]
    seen, y = features(net, x[index], size), torch.from_numpy(labels[index])
    opt = torch.optim.AdamW(net.classifier.parameters(), 3e-3, weight_decay=1e-2)
    for _ in range(300):
        loss = nn.functional.cross_entropy(net.classifier(seen), y, label_smoothing=0.05)
        opt.zero_grad()
        loss.backward()
        opt.step()


def train_all(name, net, x, labels, rng, args):
    """Everything from random weights; the last fifth at the full size."""
    rate = 3e-3 if name != "resnet18" else 1e-3
    opt = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, rate, total_steps=args.steps)
    start = time.time()
    net.train()
    for step in range(args.steps):
        size = args.size if step >= 0.8 * args.steps else args.size * 3 // 4
        index = balanced(labels, rng, 32)
        loss = nn.functional.cross_entropy(net(batch(x, rng, index, size)), torch.from_numpy(labels[index]), label_smoothing=0.05)
        opt.zero_grad()
        loss.backward()
        opt.step()
        plan.step()
        if step % 25 == 24:
            print(f"{name} step {step + 1}/{args.steps} loss {loss.item():.3f} {time.time() - start:.0f} s", flush=True)


def train(name, args):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x, labels, _ = cached(args.data, "train", args.size, args.out)
    vx, vl, _ = cached(args.data, "val", args.size, args.out)
    net, start = architectures.NETS[name](len(LABELS)), time.time()
    if name in architectures.PRETRAINED:
        train_head(net, x, labels, rng, args.size)
    else:
        train_all(name, net, x, labels, rng, args)
    path = args.out / f"{name}.onnx"
    architectures.export(net, path, args.size)
    accuracy = float((answers(path, vx).argmax(1) == vl).mean())
    print(json.dumps(dict(net=name, size=args.size, steps=args.steps, seconds=round(time.time() - start), accuracy=round(accuracy, 4))), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="example: python train.py --data ~/data --out runs resnet18 --steps 300")
    p.add_argument("nets", nargs="*", default=list(architectures.NETS), help="default: all")
    p.add_argument("--data", type=Path, required=True, help="folder with fire/train and fire/val")
    p.add_argument("--out", type=Path, required=True, help="folder for the ONNX files and decoded pictures")
    p.add_argument("--size", type=int, default=160)
    p.add_argument("--steps", type=int, default=400)
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.nets:
        train(name, args)


if __name__ == "__main__":
    main()
