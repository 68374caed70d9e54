"""Train the hand localiser: one class, one stage, no anchors, on composed scenes. The same command continues an
interrupted run.

Network: the first nine blocks of EfficientNet-Lite0 with their expanded channels pruned, a coarse context level,
and one map at stride 8 that says for every cell whether a hand's centre is near (a peak, trained with the focal
loss of Law & Deng, CornerNet, arXiv:1808.01244, eq. 1, on Gaussian targets) and where its box is (centre offset in
cells, logarithm of the sides in cells; L1).
"""

import argparse
import csv
import io
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

import data
import hands
import loop
import model as lite0
import preprocess
import prune
import warm

WIDTH, HEIGHT, STRIDE = 288, 224, 8
BLOCKS, NECK = 9, 64


class Localiser(nn.Module):
    """Input float32 [B,3,224,288] normalised; output raw maps [B,5,28,36]: peak logit, dx, dy (cells), log w, log h
    (cells)."""

    def __init__(self, widths=None):
        super().__init__()
        trunk = lite0.Lite0(1)
        self.stem, self.blocks = trunk.stem, trunk.blocks[:BLOCKS]
        for block, width in zip(self.blocks, widths or []):
            if width != block.depthwise[0].out_channels:
                prune.resize(block, width)
        self.fine, self.middle = lite0.conv_bn(40, NECK, act=False), lite0.conv_bn(112, NECK, act=False)
        self.context = nn.Sequential(*(separable(NECK, 5) for _ in range(2)))
        self.merge = separable(NECK, 5)
        self.last = separable(NECK, 5)
        self.out = nn.Conv2d(NECK, 5, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.out.bias.data[0] = -4.0

    def forward(self, x):
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 4:
                fine = x
        middle = self.middle(x)
        middle = F.relu6(middle + up(self.context(F.max_pool2d(middle, 2))))
        return self.out(self.last(self.merge(F.relu6(self.fine(fine) + up(middle)))))


def up(x):
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def separable(channels, k):
    return nn.Sequential(lite0.conv_bn(channels, channels, k, groups=channels), lite0.conv_bn(channels, channels))


def boxes(maps: torch.Tensor) -> torch.Tensor:
    """Raw maps [B,5,h,w] -> [B,h*w,5]: cx, cy, w, h as shares of the picture, and the peak logit."""
    _, _, h, w = maps.shape
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    centre = (maps[:, 1:3] + torch.stack([x, y])) / torch.tensor([w, h]).view(1, 2, 1, 1)
    sides = torch.exp(maps[:, 3:5].clamp(max=4.0)) / torch.tensor([w, h]).view(1, 2, 1, 1)
    return torch.cat([centre, sides, maps[:, :1]], 1).flatten(2).transpose(1, 2)


def detections(rows: np.ndarray, threshold, iou=0.4, most=2) -> np.ndarray:
    """Rows [N,5] (shares and logit) -> kept boxes [K,5] as x0, y0, x1, y1 (shares) and score, best first; greedy
    suppression."""
    score = 1 / (1 + np.exp(-rows[:, 4]))
    order = np.argsort(-score, kind="stable")
    order = order[score[order] >= threshold][:100]
    c, s = rows[:, :2], rows[:, 2:4] / 2
    corner = np.concatenate([c - s, c + s, score[:, None]], 1)
    kept = []
    for i in order:
        if all(overlap(corner[i], k) <= iou for k in kept):
            kept.append(corner[i])
        if len(kept) == most:
            break
    return np.array(kept).reshape(-1, 5)


def overlap(a, b) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    w, h = np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])
    inside = max(0.0, w) * max(0.0, h)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside + 1e-9)


# --- samples ------------------------------------------------------------


class Scenes(Dataset):
    """Endless samples (float32 [3,H,W], target [6,h,w]); one scene in `count` is composed once and then seen under new
    cameras."""

    def __init__(self, studio, seed=0, count=6000):
        self.studio, self.seed, self.count, self.cache = studio, seed, count, {}

    def __len__(self):
        return 2**40

    def __getitem__(self, index):
        rgb, found = self.picture(index)
        return preprocess.normalise(rgb), target(found)

    def picture(self, index):
        """uint8 [H,W,3] and its boxes [K,4] in pixels."""
        jpeg, found = self.composed(index % self.count)
        rng = np.random.default_rng([self.seed, 1, index])
        rgb = np.asarray(Image.open(io.BytesIO(jpeg)))
        rgb, found = zoom(rng, rgb, found)
        if rng.random() < 0.25:
            rgb = hands.coarse(rng, rgb, 120)
        return hands.camera(rng, rgb), found

    def composed(self, i):
        if i not in self.cache:
            rng = np.random.default_rng([self.seed, 0, i])
            rgb, found = self.compose(rng)
            buffer = io.BytesIO()
            Image.fromarray(rgb).save(buffer, "JPEG", quality=92, subsampling=0)
            self.cache[i] = buffer.getvalue(), found
        return self.cache[i]

    def compose(self, rng):
        kind = rng.random()
        if kind < 0.14:
            _, rgb, box = self.studio.close(rng)
            return fitted(rgb, [box])
        if kind < 0.22 and self.studio.synth:
            _, rgb, box = self.studio.rendered(rng)
            return fitted(rgb, [] if box is None else [box])
        h = int(rng.integers(168, 289))
        if kind < 0.32:
            return fitted(self.studio.pool.photo(rng, WIDTH, h), [])
        if kind < 0.5:
            return fitted(self.studio.scene(rng, WIDTH, h, 12, 180, most=0)[0], [])
        rgb, found = self.studio.scene(rng, WIDTH, h, 12, 190)
        return fitted(rgb, [box for _, box in found])


def fitted(rgb, found):
    """Stretched to the input's size, boxes with it: uint8 [H,W,3], float [K,4]."""
    h, w = rgb.shape[:2]
    scale = np.array([WIDTH / w, HEIGHT / h] * 2)
    return hands.stretch(rgb, WIDTH, HEIGHT), np.array([b * scale for b in found]).reshape(-1, 4)


def zoom(rng, rgb, found):
    """Mirrored half of the time; a part of 60..100 % of the area half of the time."""
    if rng.random() < 0.5:
        rgb = rgb[:, ::-1]
        found = (
            np.stack([WIDTH - found[:, 2], found[:, 1], WIDTH - found[:, 0], found[:, 3]], 1) if len(found) else found
        )
    if rng.random() < 0.5:
        return rgb, found
    w, h = WIDTH * np.sqrt(rng.uniform(0.6, 1)), HEIGHT * np.sqrt(rng.uniform(0.6, 1))
    x, y = rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h)
    image = Image.fromarray(np.ascontiguousarray(rgb)).resize(
        (WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h)
    )
    return np.asarray(image), (found - [x, y, x, y]) * ([WIDTH / w, HEIGHT / h] * 2)


def target(found) -> np.ndarray:
    """float32 [6,h,w]: peak 0..1 (-1: do not care), dx, dy, log w, log h, weight of the box."""
    h, w = HEIGHT // STRIDE, WIDTH // STRIDE
    out = np.zeros((6, h, w), np.float32)
    y, x = np.mgrid[0:h, 0:w] + 0.5
    for box in np.asarray(found) / STRIDE:
        seen = np.clip(box, 0, [w, h, w, h])
        size, whole = seen[2:] - seen[:2], box[2:] - box[:2]
        near = (np.abs(x - (seen[0] + seen[2]) / 2) < size[0] / 2) & (
            np.abs(y - (seen[1] + seen[3]) / 2) < size[1] / 2
        )
        if min(size) <= 0 or size.prod() < 0.4 * whole.prod():
            out[0][near] = -1
            continue
        c = (seen[:2] + seen[2:]) / 2
        sigma = np.maximum(0.11 * size, 0.55)
        peak = np.exp(-(((x - c[0]) / sigma[0]) ** 2) / 2 - ((y - c[1]) / sigma[1]) ** 2 / 2).astype(np.float32)
        cell = int(min(c[1], h - 1e-3)), int(min(c[0], w - 1e-3))
        peak[cell] = 1
        better = peak > np.maximum(out[0], 0)
        good = better & (peak > 0.4)
        out[0][better] = peak[better]
        for channel, value in enumerate(
            (c[0] - x, c[1] - y, np.log(max(size[0], 0.5)), np.log(max(size[1], 0.5)), peak), 1
        ):
            out[channel][good] = np.broadcast_to(value, x.shape)[good]
    return out


def loss(maps, truth):
    """Focal loss of the peaks plus L1 of the boxes near them, each per hand."""
    z, peak = maps[:, 0], truth[:, 0]
    hands_seen = (peak == 1).sum().clamp_min(1)
    p = torch.sigmoid(z)
    positive = -((1 - p) ** 2) * F.logsigmoid(z) * (peak == 1)
    negative = -((1 - peak.clamp(0, 1)) ** 4) * p**2 * F.logsigmoid(-z) * ((peak >= 0) & (peak < 1))
    weight = truth[:, 5:]
    scale = torch.tensor([0.5, 0.5, 2.0, 2.0]).view(1, 4, 1, 1)
    miss = (
        F.smooth_l1_loss(maps[:, 1:], truth[:, 1:5], reduction="none", beta=0.2) * scale * weight
    ).sum() / weight.sum().clamp_min(1)
    return (positive.sum() + negative.sum()) / hands_seen + miss


# --- validation ------------------------------------------------------------


def frames(root: Path) -> dict:
    """Validation frames: path -> [(label, box in shares)]."""
    out = {}
    with open(root / "gesture_frames/boxes.csv") as file:
        for row in csv.DictReader(file):
            box = np.array([float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]) / [640, 480, 640, 480]
            out.setdefault(root / row["file"], []).append((row["class"], box))
    return out


@torch.no_grad()
def rows(net, images) -> np.ndarray:
    """[N,cells,5] of PIL images."""
    net.eval()
    out = []
    for i in range(0, len(images), 16):
        x = np.stack(
            [preprocess.normalise(np.asarray(preprocess.resize(im, WIDTH, HEIGHT))) for im in images[i : i + 16]]
        )
        out.append(boxes(net(torch.from_numpy(x).to(memory_format=torch.channels_last))).numpy())
    return np.concatenate(out)


def far(image: Image.Image, factor, background: Image.Image) -> Image.Image:
    """The picture reduced by factor and set into the middle of a background, as if seen from farther away."""
    out = background.resize(image.size, Image.Resampling.BILINEAR)
    small = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BILINEAR)
    out.paste(small, ((image.width - small.width) // 2, image.height - small.height))
    return out


def summary(net, root: Path) -> dict:
    """Share of frames whose best box overlaps a hand by 0.4 or more, at thresholds; the same from afar; boxes on
    pictures without hands."""
    truth = frames(root)
    pictures = [data.load(p) for p in truth]
    calm = [data.load(p) for p in data.images(root / "fire/val/nofire")]
    distant = [far(im, 3, calm[i]) for i, im in enumerate(pictures)]
    near, away, empty = rows(net, pictures), rows(net, distant), rows(net, calm)
    shift = np.array([1 / 3, 2 / 3] * 2)
    out = {}
    for t in (0.2, 0.3, 0.4, 0.5):
        hit = [best_hits(r, t, [b for _, b in bs]) for r, bs in zip(near, truth.values())]
        hit3 = [best_hits(r, t, [b / 3 + shift for _, b in bs]) for r, bs in zip(away, truth.values())]
        out[str(t)] = dict(
            found=round(np.mean(hit), 4),
            found_far=round(np.mean(hit3), 4),
            boxes_without_hand=round(np.mean([len(detections(r, t)) > 0 for r in empty]), 4),
        )
    return out


def best_hits(r, threshold, truth) -> bool:
    kept = detections(r, threshold)
    return bool(len(kept)) and max(overlap(kept[0], b) for b in truth) >= 0.4


def start(args, studio) -> Localiser:
    """A checkpoint's average, or the trunk of a classifier pruned to --keep of its expanded channels."""
    if args.init.suffix == ".pt":
        return load(args.init)
    trunk = warm.folded(args.init, len(hands.LABELS))
    scenes = Scenes(studio, seed=77)
    pictures = torch.from_numpy(np.stack([scenes[i][0] for i in range(64)]))
    trunk = prune.shrink(warm.restore(trunk, pictures), 1 - args.keep, pictures, last=BLOCKS)
    net = Localiser([b.depthwise[0].out_channels for b in trunk.blocks[:BLOCKS]])
    net.stem, net.blocks = trunk.stem, trunk.blocks[:BLOCKS]
    return net


def load(checkpoint: Path, key="average") -> Localiser:
    saved = torch.load(checkpoint, weights_only=True)
    net = Localiser(saved["widths"])
    if "stem.1.weight" not in saved[key]:  # trained with batch norms folded
        lite0.fold_batchnorm(net.eval())
    net.load_state_dict(saved[key])
    return net


def fit(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    studio = hands.Studio(hands.Pool(args.data, set(args.without)), args.synth)
    net = start(args, studio).to(memory_format=torch.channels_last)
    if args.fold:
        lite0.fold_batchnorm(net.eval())
    frozen = loop.freeze([net.stem, *net.blocks[: args.freeze]] if args.freeze else [])

    def step(x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            maps = net(x.to(memory_format=torch.channels_last))
        return loss(maps.float(), y)

    head = nn.ModuleList([net.fine, net.middle, net.context, net.merge, net.last, net.out])
    loop.run(args, net, frozen, head, Scenes(studio, args.seed, args.scenes), step)
    result = summary(net, args.data)
    (args.out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print("validation, averaged weights:", json.dumps(result), flush=True)


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train fit-hand",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train fit-hand --init infer/models/gesture/gesture-fp32.onnx --data ~/data --out runs/hand",
    )
    p.add_argument("--init", type=Path, required=True, help="gesture-fp32.onnx of a release, or last.pt of a run")
    p.add_argument(
        "--fold", action="store_true", help="fold batch norms first: faster, for the last rounds at a low rate"
    )
    p.add_argument(
        "--freeze", type=int, default=0, help="blocks kept fixed after the stem (default 0: train everything)"
    )
    p.add_argument(
        "--keep", type=float, default=0.5, help="share of the trunk's expanded channels that stay (default 0.5)"
    )
    p.add_argument(
        "--scenes", type=int, default=6000, help="different scenes composed before they repeat under new cameras"
    )
    p.add_argument(
        "--without", nargs="*", default=[], metavar="SOURCE", help=f"leave out: {', '.join(hands.SOURCES)}"
    )
    loop.arguments(p)
    fit(p.parse_args(argv))


if __name__ == "__main__":
    main()
