"""Hard-example mining: weigh each training photograph by how wrong a network still is about it, whole and in random
parts."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import effects
import fire_data
import nets
import photos
import preprocess


@torch.no_grad()
def badness(net, store, size, views, seed) -> np.ndarray:
    """1 - p(right side of alarm or none) of the worst of `views` augmented views and the whole picture, [N]."""
    worst = np.zeros(len(store))
    for i in range(len(store)):
        rng = np.random.default_rng([seed, i])
        pictures = [store.pixels[i]] + [
            fire_data.to_bytes(fire_data.crop(rng, store.pixels[i], 0.4)) for _ in range(views)
        ]
        x = np.stack([preprocess.normalise(effects.camera(rng, p, size)) for p in pictures])
        p = net(torch.from_numpy(x).to(memory_format=torch.channels_last)).softmax(1).numpy()
        none = p[:, 0]
        worst[i] = (1 - none if store.labels[i] == "nofire" else none).max()
    return worst


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train mine",
        description=__doc__,
        epilog="example: train mine --data ~/data --checkpoint runs/fire/last.pt --out runs/fire/hard.json",
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--arch", default="fire", choices=list(nets.ARCHS))
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True, help="JSON of path -> weight, for train fit --weights")
    p.add_argument("--views", type=int, default=1, help="augmented views of each photograph (default 1)")
    p.add_argument("--strength", type=float, default=6, help="weight = 1 + strength * badness (default 6)")
    p.add_argument("--seed", type=int, default=77)
    args = p.parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    arch = nets.ARCHS[args.arch]
    net = nets.Classifier(arch).to(memory_format=torch.channels_last).eval()
    nets.load(net, args.checkpoint, strict=True)
    store = photos.fire(args.data, args.cache, "train")
    worst = badness(net, store, arch.size, args.views, args.seed)
    args.out.write_text(
        json.dumps({r["path"]: round(1 + args.strength * float(b), 3) for r, b in zip(store.rows, worst)})
    )
    for label in fire_data.LABELS:
        part = worst[store.labels == label]
        print(f"{label}: {len(part)} photographs, {(part > 0.5).sum()} on the wrong side in some view")


if __name__ == "__main__":
    main()
