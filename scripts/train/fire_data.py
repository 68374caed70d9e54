"""Training samples for the fire family: photographs, and composites whose labels and masks are exact.

A sample is a pure function of (seed, index), so an interrupted run continues with the samples it would have seen.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

import effects
import photos
import preprocess
import rooms

LABELS = ["nofire", "smoke", "fire"]
CANVAS = 256  # composites are made at this size, then reduced
MASK = 56  # side of the segmentation target


def held_out(stem: str) -> bool:
    """Whether a mask pair belongs to the fifth that segmentation is tested on: decided by a hash of its name."""
    import hashlib

    return hashlib.sha256(stem.encode()).digest()[0] % 5 == 0


def smoke_clip(path: Path, step=4) -> np.ndarray:
    """Every step-th frame of the clip of smoke before black, the plume's part: brightness is opacity. uint8
    [n,360,280]."""
    w, h = 280, 360
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-vf",
        f"select=not(mod(n\\,{step})),scale=640:360,crop={w}:{h}",
        "-vsync",
        "vfr",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, h, w)
    return frames[frames.mean((1, 2)) > 2]


def crop(rng, pixels, low=0.5, high=1.0, aspect=0.25, size=CANVAS, turn=0.35):
    """A random part of a stored photograph (area share low..high), mirrored half of the time, sometimes turned by up
    to 20°."""
    side = len(pixels)
    area, ratio = rng.uniform(low, high), np.exp(rng.uniform(-aspect, aspect))
    w, h = min(side, side * np.sqrt(area * ratio)), min(side, side * np.sqrt(area / ratio))
    x, y = rng.random() * (side - w), rng.random() * (side - h)
    box = (x, y, x + w, y + h)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if rng.random() < turn:
        out = image.transform(
            (size, size), Image.Transform.AFFINE, turned(rng, box, size, side), Image.Resampling.BILINEAR
        )
    else:
        out = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(out.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else out).astype(np.float32)


def turned(rng, box, size, side):
    """Affine coefficients that show box, turned by up to 20° and shrunk as far as needed to stay inside the picture."""
    angle = np.radians(rng.uniform(-20, 20))
    c, s = np.cos(angle), np.sin(angle)
    cx, cy, w, h = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
    reach_x, reach_y = (w * c + h * abs(s)) / 2, (w * abs(s) + h * c) / 2
    shrink = min(1, min(cx, side - cx) / reach_x, min(cy, side - cy) / reach_y)
    if shrink < 0.5:  # the box lies in a corner: turn about the picture's middle instead
        cx = cy = side / 2
        shrink = min(1, side / 2 / max(reach_x, reach_y))
    a, b, d, e = c * w * shrink / size, -s * h * shrink / size, s * w * shrink / size, c * h * shrink / size
    return (a, b, cx - (a + b) * size / 2, d, e, cy - (d + e) * size / 2)


class Scenes:
    """Draws fire samples: label by the class shares, then a photograph or a composite over a fireless photograph."""

    SHARE = {"nofire": 0.46, "smoke": 0.27, "fire": 0.27}

    def __init__(
        self,
        root: Path,
        cache: Path,
        synth: Path | None = None,
        without=None,
        weights: Path | None = None,
        synth_share=0.1,
    ):
        self.store = photos.fire(root, cache, "train")
        self.people = photos.people(root, cache)
        self.rooms = rooms.store(root, cache)
        self.synth = photos.rendered(synth, cache) if synth else None
        self.synth_share = synth_share if synth else 0
        self.rows = {c: self.store.where(c, without) for c in LABELS}
        self.chance = {c: self.weigh(rows, weights) for c, rows in self.rows.items()}
        self.pairs = [
            (root / "fire_masks/img" / f"{m.stem}.jpg", m)
            for m in photos.images(root / "fire_masks/mask")
            if not held_out(m.stem)
        ]
        self.clip = smoke_clip(next((root / "clips").glob("*smoke_on_black*.mp4")))
        self.noise = effects.Noise()
        self.cut = {}  # mask pair -> decoded arrays, filled as they are drawn
        self.names, self.used = sorted(set(self.store.sources)), set()

    def weigh(self, rows, weights):
        """Chances of the rows: even, or by the hardness that `train mine` wrote for each path."""
        if weights is None:
            return None
        table = json.loads(Path(weights).read_text())
        w = np.array([table.get(self.store.rows[i]["path"], 1.0) for i in rows])
        return np.cumsum(w / w.sum())

    # --- photographs ---

    def row(self, rng, label):
        rows, chance = self.rows[label], self.chance[label]
        at = rng.integers(len(rows)) if chance is None else min(np.searchsorted(chance, rng.random()), len(rows) - 1)
        self.used.add(self.store.sources[rows[at]])
        return self.store.pixels[rows[at]]

    def used_bits(self) -> int:
        """The sources of the photographs in the last sample drawn: bit i stands for names[i]."""
        return sum(1 << i for i, name in enumerate(self.names) if name in self.used)

    def photo(self, rng, label, low):
        return crop(rng, self.row(rng, label), low)

    def background(self, rng, rooms=0.05):
        """A fireless picture: mostly a photograph, some people, a share of composed rooms; a third changed in season,
        weather or light."""
        chance = rng.random()
        if chance < 0.1:
            scene = crop(rng, self.people.pixels[rng.integers(len(self.people))], 0.3)
        elif chance < 0.1 + rooms:
            scene = crop(rng, self.rooms.pixels[rng.integers(len(self.rooms))], 0.4)
        else:
            scene = self.photo(rng, "nofire", 0.25)
        if rng.random() < 0.3:
            change = rng.choice(
                [effects.autumn, effects.burnt, effects.fog, effects.sunset, effects.lamps, effects.things],
                p=[0.2, 0.2, 0.15, 0.2, 0.1, 0.15],
            )
            scene = change(rng, scene)
        return scene

    # --- samples ---

    def draw(self, rng):
        """Label, uint8 [CANVAS,CANVAS,3], masks float32 [2,MASK,MASK] (flame, smoke) or None where they are not
        known."""
        self.used.clear()
        if rng.random() < self.synth_share:
            i = rng.integers(len(self.synth))
            label = self.synth.labels[i]
            return label, to_bytes(crop(rng, self.synth.pixels[i], 0.8, turn=0)), None if label != "nofire" else empty()
        label = rng.choice(LABELS, p=list(self.SHARE.values()))
        scene, masks = getattr(self, label)(rng)
        return label, to_bytes(scene), masks

    def nofire(self, rng):
        """A fireless photograph; a third carries a decoy, so that the edge of a composite or a shape alone is no
        clue."""
        scene = self.background(rng, rooms=0.18)
        chance = rng.random()
        if chance < 0.08:
            scene = effects.over(scene, self.photo(rng, "nofire", 0.1), effects.blur(self.blob(rng), rng.uniform(1, 8)))
        elif chance < 0.24:
            scene = effects.things(rng, scene)
        elif chance < 0.30:
            scene = effects.flare(rng, scene)
        elif chance < 0.37:
            scene = (
                effects.over(scene, rng.uniform(0, 255, 3), self.opacity(rng))
                if rng.random() < 0.3
                else effects.sunset(rng, scene)
            )
        return scene, empty()

    def blob(self, rng):
        return (self.noise.draw(rng, CANVAS, rng.uniform(0.1, 0.5)) > rng.uniform(0.5, 0.75)).astype(np.float32)

    def smoke(self, rng):
        if rng.random() < 0.38:
            return self.photo(rng, "smoke", 0.4), None
        scene, masks = self.background(rng), empty()
        for _ in range(1 if rng.random() < 0.8 else 2):
            scene = self.add_smoke(rng, scene, masks)
        return scene, masks

    def fire(self, rng):
        chance = rng.random()
        if chance < 0.55:
            return self.photo(rng, "fire", 0.45), None
        if chance < 0.65:
            return self.flare(rng)
        scene, masks = self.background(rng), empty()
        if rng.random() < 0.5:
            scene = self.add_smoke(rng, scene, masks)
        if rng.random() < 0.4:
            scene = scene * rng.uniform(0.25, 0.9)
        for _ in range(rng.integers(1, 4)):
            scene = self.add_flame(rng, scene, masks)
        return scene, masks

    def pair(self, rng):
        """A random mask pair: uint8 [h,w,3] and [h,w] (255 flame, 128 smoke)."""
        i = rng.integers(len(self.pairs))
        if i not in self.cut:
            image, mask = self.pairs[i]
            with Image.open(image) as a, Image.open(mask) as b:
                self.cut[i] = np.asarray(preprocess.to_rgb(a)), np.asarray(b.convert("L"))
        return self.cut[i]

    def flare(self, rng, low=0.35):
        """A whole photograph of the mask pairs with its masks; drawn again while the crop shows no flame."""
        rgb, mask = self.pair(rng)
        h, w = mask.shape
        for _ in range(6):
            area, ratio = rng.uniform(low, 1), np.exp(rng.uniform(-0.25, 0.25))
            cw, ch = min(w, w * np.sqrt(area * ratio)), min(h, h * np.sqrt(area / ratio))
            x, y = rng.random() * (w - cw), rng.random() * (h - ch)
            box = (x, y, x + cw, y + ch)
            flame, smoke = (shrink(mask == v, box) for v in (255, 128))
            if flame.sum() > 2:
                break
        scene = np.asarray(Image.fromarray(rgb).resize((CANVAS, CANVAS), Image.Resampling.BILINEAR, box=box)).astype(
            np.float32
        )
        step = rng.choice([-1, 1])
        return scene[:, ::step], np.stack([flame, smoke])[..., ::step].copy()

    # --- smoke and flames over a scene ---

    def opacity(self, rng):
        """float32 [CANVAS,CANVAS], 0..1: smoke that covers at least half a hundredth of the frame."""
        for _ in range(8):
            chance = rng.random()
            if chance < 0.25:
                frame = self.clip[rng.integers(len(self.clip))]
                alpha = place(rng, np.repeat(frame[..., None], 4, 2), rng.uniform(0.2, 1.6))[..., 3] / 255
            else:
                shape = (
                    effects.column
                    if chance < 0.45
                    else effects.wisps
                    if chance < 0.7
                    else effects.distant
                    if chance < 0.87
                    else effects.bank
                )
                alpha = effects.scale(shape(rng, self.noise, 128), CANVAS, Image.Resampling.BILINEAR)
            if alpha.mean() > 0.005 and alpha.max() > 0.25:
                break
        return (alpha * rng.uniform(0.55, 1.0)).astype(np.float32)

    def add_smoke(self, rng, scene, masks):
        alpha = self.opacity(rng)
        if rng.random() < 0.35:  # the colours and folds of real smoke
            colour = crop(rng, self.row(rng, "smoke"), 0.05, 0.4)
        else:
            tint = (rng.uniform(130, 250) if rng.random() < 0.75 else rng.uniform(20, 110)) * rng.uniform(
                [0.97, 0.94, 0.86], [1.08, 1.02, 1.06]
            )
            colour = tint * (0.72 + 0.4 * self.noise.draw(rng, CANVAS))[..., None]
        if rng.random() < 0.3:  # smoke in the light of the scene
            colour = colour * (0.4 + 0.6 * np.quantile(scene, 0.9) / 255)
        masks[1] = np.maximum(masks[1], effects.scale((alpha > 0.2).astype(np.float32), MASK, Image.Resampling.BOX))
        return effects.over(scene, colour, alpha)

    def add_flame(self, rng, scene, masks):
        """Flames cut from a masked photograph, or from a fire photograph by their brightness, at 4..45 % of the
        height."""
        patch = self.masked_flame(rng) if rng.random() < 0.5 else self.bright_flame(rng)
        layer = place(rng, patch, 0.04 * (0.45 / 0.04) ** rng.random(), ground=True) if patch is not None else None
        if layer is None or layer[..., 3].sum() < 255 * 25:  # under 25 opaque pixels the label would lie
            return self.add_flame(rng, scene, masks)
        alpha = layer[..., 3] / 255
        if rng.random() < 0.4:  # the flame's light on what is near
            light = effects.blur(alpha, rng.uniform(6, 25))
            scene = scene + light[..., None] * rng.uniform([60, 25, 0], [160, 80, 20])
        solid = effects.scale((alpha > 0.4).astype(np.float32), MASK, Image.Resampling.BOX)
        masks[0] = np.maximum(masks[0], solid)
        masks[1] *= 1 - solid
        return effects.over(scene, layer[..., :3], alpha)

    def masked_flame(self, rng):
        rgb, mask = self.pair(rng)
        inside = mask == 255
        if not inside.any():
            return None
        ys, xs = np.nonzero(inside)
        box = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        return flame_patch(rgb[box], inside[box] * 255.0)

    def bright_flame(self, rng):
        rgb = to_bytes(crop(rng, self.row(rng, "fire"), 0.1, 0.4, size=96, turn=0))
        y, x = np.mgrid[-1:1:96j, -1:1:96j]
        window = 255 * np.clip(1.6 - 1.6 * (np.abs(x) ** 2.5 + np.abs(y) ** 2.5), 0, 1)
        return flame_patch(rgb, window * (rgb[..., 0] > rgb[..., 2] * 1.25))


def flame_patch(rgb, window):
    """RGBA of the bright part of rgb inside window (0..255)."""
    bright = np.clip((rgb.max(2) - 110.0) / 90, 0, 1)
    alpha = effects.blur(window * bright / 255, 1) * 255
    return np.dstack([rgb, alpha.astype(np.uint8)])


def place(rng, rgba, height, canvas=CANVAS, ground=False):
    """rgba (uint8 [h,w,4]) scaled to height (share of the canvas) somewhere on it; float32 [canvas,canvas,4],
    0..255."""
    h = max(3, int(height * canvas))
    w = max(3, min(2 * canvas, int(rgba.shape[1] / rgba.shape[0] * h * rng.uniform(0.7, 1.4))))
    patch = Image.fromarray(rgba).resize((w, h), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        patch = patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x = int(rng.uniform(0.3, 0.7) * canvas - w / 2) if w > canvas else int(rng.uniform(-0.2 * w, canvas - 0.8 * w))
    y = int(rng.uniform(0.3 if ground else 0, 1) * (canvas - h))
    layer = Image.new("RGBA", (canvas, canvas))
    layer.paste(patch, (x, y))
    return np.asarray(layer).astype(np.float32)


def shrink(mask, box):
    """Share of each cell of the MASK x MASK grid over box that a boolean mask covers."""
    return np.asarray(Image.fromarray(mask.astype(np.float32)).resize((MASK, MASK), Image.Resampling.BOX, box=box))


def empty():
    return np.zeros((2, MASK, MASK), np.float32)


def to_bytes(x):
    return x.clip(0, 255).astype(np.uint8)


class Samples(Dataset):
    """Endless samples; item i is (float32 [3,S,S] normalised, label index)."""

    def __init__(self, scenes: Scenes, size: int, seed=0):
        self.scenes, self.size, self.seed = scenes, size, seed

    def __len__(self):
        return 2**40

    def rgb(self, index):
        """Label name, uint8 [S,S,3] before normalisation, masks or None."""
        rng = np.random.default_rng([self.seed, index])
        label, scene, masks = self.scenes.draw(rng)
        return label, effects.camera(rng, scene, self.size), masks

    def __getitem__(self, index):
        label, rgb, _ = self.rgb(index)
        return preprocess.normalise(rgb), LABELS.index(label)
