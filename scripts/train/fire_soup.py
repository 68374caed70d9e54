"""The mean of several runs' weights, started from the same ones: often better than each, at no cost at run time."""

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

import fire_data
import fire_fit
import nets
import photos
from loop import save


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train soup",
        description=__doc__,
        epilog="example: train soup --data ~/data --out runs/soup.pt runs/a/last.pt runs/b/last.pt",
    )
    p.add_argument("checkpoints", type=Path, nargs="+")
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--arch", default="fire", choices=list(nets.ARCHS))
    p.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    p.add_argument("--all", action="store_true", help="try every subset, keep the best on the validation photographs")
    args = p.parse_args(argv)
    torch.set_num_threads(1)
    val, arch = photos.fire(args.data, args.cache, "val"), nets.ARCHS[args.arch]
    truth, best = np.array([fire_data.LABELS.index(c) for c in val.labels]), None
    sizes = range(1, len(args.checkpoints) + 1) if args.all else [len(args.checkpoints)]
    for chosen in (c for n in sizes for c in combinations(args.checkpoints, n)):
        net = nets.Classifier(arch).to(memory_format=torch.channels_last)
        state = nets.soup(chosen)
        net.load_state_dict(state)
        result = fire_fit.summary(fire_fit.predict(net, val, arch.size), truth)
        print(" + ".join(map(str, chosen)), json.dumps(result), flush=True)
        if best is None or result["recall_at_2"] + result["best_alarm"] > best[0]:
            best = (result["recall_at_2"] + result["best_alarm"], state)
    save(args.out, average=best[1])


if __name__ == "__main__":
    main()
