"""Fine-tune the gesture classifier on hand crops as the localiser cuts them. The same command continues an interrupted
run."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

import data
import hands
import loop
import model as lite0
import preprocess
import prune
import warm

SIZE = 160
LABELS = hands.LABELS
KINDS = {"close": 0.40, "scene": 0.36, "none": 0.17, "rendered": 0.07}


class Crops(Dataset):
    """Endless samples (float32 [3,160,160] normalised, label index)."""

    def __init__(self, studio: hands.Studio, seed=0, size=SIZE):
        self.studio, self.seed, self.size = studio, seed, size
        share = {k: v for k, v in KINDS.items() if k != "rendered" or studio.synth}
        self.kinds, weight = list(share), np.array(list(share.values()))
        self.share = weight / weight.sum()

    def __len__(self):
        return 2**40

    def __getitem__(self, index):
        label, rgb = self.rgb(index)
        return preprocess.normalise(rgb), LABELS.index(label)

    def rgb(self, index):
        rng = np.random.default_rng([self.seed, index])
        label, rgb = getattr(self, str(rng.choice(self.kinds, p=self.share)))(rng)
        rgb = np.asarray(resized(rgb, self.size))
        if rng.random() < 0.25:
            rgb = hands.coarse(rng, rgb)
        return label, hands.camera(rng, rgb)

    def close(self, rng):
        label, rgb, _ = self.studio.close(rng)
        return label, tilt(rng, rgb)

    def scene(self, rng):
        """A hand in a composed scene, cut out as the localiser's boxes are, with their errors."""
        scene, found = self.studio.scene(rng, 224, 224, 60, 190, most=1)
        label, box = found[0]
        box = box + rng.normal(0, 0.06, 4) * np.tile(box[2:] - box[:2], 2)
        return label, hands.cut(scene, hands.window(box, 224, 224, rng.uniform(1.05, 1.55)), self.size)

    def none(self, rng):
        kind = rng.random()
        if kind < 0.3:
            return "none", self.studio.pool.photo(rng, self.size, self.size, 0.05)
        if kind < 0.45:
            return "none", hands.stretch(self.studio.piece(rng), self.size, self.size)
        scene, _ = self.studio.scene(rng, 224, 224, 40, 200, most=0)
        side = rng.uniform(50, 224)
        x, y = rng.uniform(0, 224 - side, 2)
        return "none", hands.cut(scene, (x, y, x + side, y + side), self.size)

    def rendered(self, rng):
        label, rgb, box = self.studio.rendered(rng)
        if box is None:
            return label, hands.stretch(hands.part(rng, rgb, 0.05), self.size, self.size)
        box = box + rng.normal(0, 0.06, 4) * np.tile(box[2:] - box[:2], 2)
        return label, hands.cut(rgb, hands.window(box, 320, 240, rng.uniform(1.05, 1.5)), self.size)[
            :, :: rng.choice([-1, 1])
        ]


def resized(rgb, size):
    return rgb if rgb.shape[:2] == (size, size) else hands.stretch(rgb, size, size)


def tilt(rng, rgb):
    """Turned by up to 20 degrees half of the time, corners repeated from the border."""
    if rng.random() < 0.5:
        return rgb
    h, w = rgb.shape[:2]
    pad = h // 5
    wide = hands.Image.fromarray(np.pad(rgb, ((pad, pad), (pad, pad), (0, 0)), "reflect"))
    turned = wide.rotate(rng.uniform(-20, 20), hands.Image.Resampling.BILINEAR)
    return np.asarray(turned.crop((pad, pad, pad + w, pad + h)))


def validation(root: Path) -> list:
    """(path, label index) of the validation crops, and as `none` the fire validation photographs."""
    return data.validation("gesture", root)


@torch.no_grad()
def scores(net, pairs, size=SIZE) -> np.ndarray:
    """Logits [N,11] of net on (path, label) pairs."""
    net.eval()
    out = []
    for i in range(0, len(pairs), 32):
        x = np.stack([preprocess.normalise(preprocess.pixels(p, size, size)) for p, _ in pairs[i : i + 32]])
        out.append(net(torch.from_numpy(x).to(memory_format=torch.channels_last)).numpy())
    return np.concatenate(out)


def summary(z, truth) -> dict:
    """Crop accuracy, recall of each label, and confident signals on pictures without a hand."""
    p = torch.from_numpy(z).softmax(1).numpy()
    guess, none = z.argmax(1), truth == LABELS.index("none")
    signal = (guess < LABELS.index("other")) & (p.max(1) >= 0.6)
    recall = {LABELS[c]: round(float((guess[truth == c] == c).mean()), 3) for c in np.unique(truth)}
    return dict(
        crops=round(float((guess == truth)[~none].mean()), 4),
        false_signals=round(float(signal[none].mean()), 4) if none.any() else None,
        recall=recall,
    )


def held_out(root: Path, without, most=1500) -> list:
    """(path, label index) of the training crops of the sources left out, evenly thinned to `most`."""
    pairs = [
        (p, LABELS.index(c))
        for c in LABELS[:-1]
        for p in data.images(root / "gesture/train" / c)
        if hands.source(p) in without
    ]
    return pairs[:: max(1, -(-len(pairs) // most))]


def start(args, studio):
    """The net to begin with: ImageNet's, a checkpoint's average, or the shipped classifier with its batch norms
    restored."""
    if str(args.init) == "imagenet":
        return lite0.pretrained(len(LABELS))
    crops = Crops(studio, seed=77)
    pictures = torch.from_numpy(np.stack([crops[i][0] for i in range(160)]))
    if args.init.suffix == ".pt":
        net = prune.load(args.init)
    else:
        net = warm.restore(warm.folded(args.init, len(LABELS)), pictures)
    return prune.shrink(net, args.prune, pictures) if args.prune else net


def tune(args, net, studio):
    """Train net as args say; afterwards it holds the averaged weights."""
    if args.fold:
        lite0.fold_batchnorm(net.eval())
    frozen = loop.freeze([net.stem, *net.blocks[: args.freeze]] if args.freeze else [])

    def loss(x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            logits = net(x.to(memory_format=torch.channels_last))
        return F.cross_entropy(logits.float(), y, label_smoothing=0.05)

    loop.run(args, net, frozen, net.fc, Crops(studio, args.seed), loss)


def fit(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    studio = hands.Studio(hands.Pool(args.data, set(args.without)), args.synth)
    net = start(args, studio).to(memory_format=torch.channels_last)
    tune(args, net, studio)
    pairs = validation(args.data)
    result = summary(scores(net, pairs), np.array([y for _, y in pairs]))
    if args.without:
        pairs = held_out(args.data, args.without)
        z, truth = scores(net, pairs), np.array([y for _, y in pairs])
        result["held_out"] = dict(
            sources=args.without,
            n=len(pairs),
            accuracy=round(float((z.argmax(1) == truth).mean()), 4),
            recall=summary(z, truth)["recall"],
        )
    (args.out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print("validation, averaged weights:", json.dumps(result), flush=True)


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train fit-gesture",
        description=__doc__,
        epilog="example: train fit-gesture --data ~/data --out runs/gesture --synth runs/synth --steps 1500",
    )
    p.add_argument(
        "--init", type=Path, required=True, help="imagenet, gesture-fp32.onnx of a release, or last.pt of a run"
    )
    p.add_argument(
        "--freeze", type=int, default=5, help="blocks kept fixed after the stem (default 5; 0: train everything)"
    )
    p.add_argument(
        "--fold", action="store_true", help="fold batch norms first: faster, for the last rounds at a low rate"
    )
    p.add_argument(
        "--prune", type=float, default=0, help="share of the expanded channels to remove before training (default 0)"
    )
    p.add_argument(
        "--without", nargs="*", default=[], metavar="SOURCE", help=f"leave out: {', '.join(hands.SOURCES)}"
    )
    loop.arguments(p)
    fit(p.parse_args(argv))


if __name__ == "__main__":
    main()
