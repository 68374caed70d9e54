"""A bank of made samples on disk, for everything that is trained more than once: small models, left-out sources, the
front.

Making a sample costs as much as a step of a small network. The bank holds uint8 pictures with label, the sources of the
photographs in each, and the answers of the teacher, if one is given. NAME.npy uint8 [N,224,224,3]; NAME.npz labels [N],
sources [N] (bit i: the source i of `names`), names, teacher [N,3] logits.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import evaluate
import fire_data
import nets
import preprocess

SIDE = 224


class Made(Dataset):
    """Samples as the bank stores them: uint8 [224,224,3], label, source bits."""

    def __init__(self, scenes, seed, count):
        self.samples, self.count = fire_data.Samples(scenes, SIDE, seed), count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        label, rgb, _ = self.samples.rgb(index)
        return rgb, fire_data.LABELS.index(label), self.samples.scenes.used_bits()


class Banked(Dataset):
    """Endless samples of a bank: mirrored half of the time, cut by up to 8 % of each side, resized; (input, label,
    teacher)."""

    def __init__(self, name: Path, size, seed, without=None):
        self.pixels = np.load(name.with_suffix(".npy"), mmap_mode="r")
        facts = np.load(name.with_suffix(".npz"))
        self.labels, self.size, self.seed = facts["labels"], size, seed
        self.teacher = facts["teacher"] if "teacher" in facts else np.zeros((len(self.labels), 3), np.float32)
        keep = np.ones(len(self.labels), bool)
        if without:
            keep = (facts["sources"] >> list(facts["names"]).index(without)) & 1 == 0
        self.rows, self.epoch = np.flatnonzero(keep), None

    def __len__(self):
        return 2**40

    def row(self, index):
        """Each epoch goes through the bank once, in an order of its own."""
        epoch, at = divmod(index, len(self.rows))
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([self.seed, 7, epoch]).permutation(self.rows)
        return self.order[at]

    def __getitem__(self, index):
        row = self.row(index)
        rng = np.random.default_rng([self.seed, index])
        cut = rng.uniform(0, 0.08 * SIDE, 4)
        image = Image.fromarray(self.pixels[row]).resize(
            (self.size, self.size), Image.Resampling.BILINEAR, box=(cut[0], cut[1], SIDE - cut[2], SIDE - cut[3])
        )
        rgb = np.asarray(image)[:, :: rng.choice([-1, 1])]
        return preprocess.normalise(rgb), int(self.labels[row]), self.teacher[row].astype(np.float32)


def make(args):
    scenes = fire_data.Scenes(args.data, args.cache, args.synth, weights=args.weights)
    loader = DataLoader(Made(scenes, args.seed, args.count), 64, num_workers=args.workers, collate_fn=lambda rows: rows)
    part = args.out.with_suffix(".part.npy")
    pixels = np.lib.format.open_memmap(part, "w+", np.uint8, (args.count, SIDE, SIDE, 3))
    facts, at = [], 0
    for rows in loader:
        for rgb, label, sources in rows:
            pixels[at] = rgb
            facts.append((label, sources))
            at += 1
        if at % 1024 < 64:
            print(f"{at}/{args.count} samples", flush=True)
    pixels.flush()
    part.replace(args.out.with_suffix(".npy"))
    labels, sources = np.array(facts).T
    np.savez(args.out.with_suffix(".npz"), labels=labels.astype(np.int8), sources=sources, names=np.array(scenes.names))


def teacher(path, threads):
    """A function from uint8 [224,224,3] to the logits [3] of a shipped ONNX file or a checkpoint."""
    if path.suffix == ".onnx":
        session = evaluate.session(path, threads)
        return lambda rgb: session.run(["logits"], {"input": preprocess.normalise(rgb)[None]})[0][0]
    net = nets.Classifier(nets.ARCHS["fire"]).to(memory_format=torch.channels_last).eval()
    nets.load(net, path, strict=True)
    torch.set_num_threads(threads)
    return lambda rgb: net(torch.from_numpy(preprocess.normalise(rgb))[None]).detach().numpy()[0]


def teach(args):
    """Add the teacher's logits to an existing bank."""
    facts = dict(np.load(args.out.with_suffix(".npz")))
    pixels = np.load(args.out.with_suffix(".npy"), mmap_mode="r")
    answer, out = teacher(args.teacher, args.threads), []
    for i, rgb in enumerate(pixels):
        out.append(answer(np.asarray(rgb)))
        if i % 2000 == 0:
            print(f"teacher {i}/{len(pixels)}", flush=True)
    facts["teacher"] = np.stack(out).astype(np.float32)
    np.savez(args.out.with_suffix(".npz"), **facts)
    print(f"teacher agrees with the labels on {(facts['teacher'].argmax(1) == facts['labels']).mean():.4f}")


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train bank",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train bank --data ~/data --out runs/bank --count 14000 --teacher runs/fire/last.pt",
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--synth", type=Path, help="renderings of scripts/synthflight, seeds other than 1")
    p.add_argument("--out", type=Path, required=True, help="name of the bank, without extension")
    p.add_argument("--count", type=int, default=14000)
    p.add_argument("--weights", type=Path, help="JSON of path -> weight from `train mine`")
    p.add_argument("--teacher", type=Path, help="weights of `fire`: add its answers (also to a bank that exists)")
    p.add_argument("--seed", type=int, default=400)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1)
    args = p.parse_args(argv)
    if not args.out.with_suffix(".npz").exists():
        make(args)
    if args.teacher:
        teach(args)


if __name__ == "__main__":
    main()
