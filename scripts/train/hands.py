"""Hand pictures for the localiser and the gesture classifier: cached crops, soft masks, composed scenes with exact
boxes.

There are no full frames of people in the training data, so scenes are composed: one or two hand crops, cut out
softly, over photographs, walls and drawn people (torso, arms, head), beside decoys that are no hands. A sample is a
pure function of (seed, index), so an interrupted run continues with the samples it would have seen.
"""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import data

LABELS = data.LABELS["gesture"]
CROP = 176  # cached hand crops: longer side at most this
SCENE = 288  # cached backgrounds: longer side at most this
SOURCES = ("hagrid_crops", "asl_letters", "signdigits", "fingers_rf")


def source(path: Path) -> str:
    """The source that a file's name begins with, e.g. hagrid_crops of hagrid_crops_ok_0012.jpg."""
    return path.name.rsplit("_", 1)[0].removesuffix(f"_{path.parent.name}")


def shrunk(path: Path, side: int) -> np.ndarray:
    """uint8 [h,w,3], longer side at most `side`."""
    image = data.load(path)
    image.thumbnail((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image)


def skin_mask(rgb: np.ndarray) -> np.ndarray:
    """Soft mask of the hand in a crop, uint8 [h,w], from colour statistics of its middle against its border.

    Two rounds of Bayes' rule on colour histograms (12 bins a channel), with a round prior; smoothed. Rough on
    purpose.
    """
    h, w = rgb.shape[:2]
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    prior = np.clip(1.15 - 0.75 * (x**2 + y**2), 0.08, 0.92)
    key = (rgb.astype(np.int32) * 12 // 256) @ np.array([144, 12, 1])
    p = prior
    for _ in range(2):
        fore, back = (np.bincount(key.ravel(), weights.ravel(), 1728) + 0.5 for weights in (p, 1 - p))
        ratio = (fore / fore.sum())[key] / (back / back.sum())[key]
        p = prior * ratio / (prior * ratio + 1 - prior)
    soft = Image.fromarray((p * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.6))
    return np.clip((np.asarray(soft).astype(np.int32) - 70) * 2, 0, 255).astype(np.uint8)


class Pool:
    """All training pictures in memory: crops by label as (uint8 [h,w,3], mask uint8 [h,w]), and backgrounds."""

    def __init__(self, root: Path, without=(), fires=True):
        self.crops = {
            c: [shrunk(p, CROP) for p in data.images(root / "gesture/train" / c) if source(p) not in without]
            for c in LABELS[:-1]
        }
        self.calm = [shrunk(p, SCENE) for p in data.images(root / "fire/train/nofire")]
        burning = [p for c in ("smoke", "fire") for p in data.images(root / "fire/train" / c)] if fires else []
        self.fires = [shrunk(p, SCENE) for p in burning]

    def hand(self, rng, label):
        """A crop of label and its mask, mirrored half of the time."""
        rgb = self.crops[label][rng.integers(len(self.crops[label]))]
        return rgb[:, ::-1] if rng.random() < 0.5 else rgb

    def photo(self, rng, w, h, low=0.1):
        files = self.fires if rng.random() < 0.3 and self.fires else self.calm
        return stretch(part(rng, files[rng.integers(len(files))], low), w, h)


def part(rng, rgb, low, high=1.0):
    """A random part of low..high of the area, mirrored half of the time."""
    h, w = rgb.shape[:2]
    share, ratio = np.sqrt(rng.uniform(low, high)), np.exp(rng.uniform(-0.3, 0.3))
    cw, ch = max(4, int(w * min(1, share * ratio))), max(4, int(h * min(1, share / ratio)))
    x, y = rng.integers(0, w - cw + 1), rng.integers(0, h - ch + 1)
    return rgb[y : y + ch, x : x + cw, :][:, :: rng.choice([-1, 1])]


def stretch(rgb, w, h):
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize((w, h), Image.Resampling.BILINEAR))


def colour(rgb, mask=None):
    """Median colour of the middle of a picture, where the hand is."""
    h, w = rgb.shape[:2]
    return np.median(rgb[h // 3 : h - h // 5, w // 3 : w - w // 3].reshape(-1, 3), 0)


def texture(rng, pool, w, h):
    """Cloth, walls, anything: plain colour, stripes, checks, a gradient or a photograph."""
    kind = rng.random()
    base = rng.uniform(10, 245, 3)
    if kind < 0.25:
        return pool.photo(rng, w, h, 0.02)
    if kind < 0.5:
        corners = (base + rng.uniform(-45, 45, (2, 2, 3))).clip(0, 255).astype(np.uint8)
        return stretch(corners, w, h)
    y, x = np.mgrid[0:h, 0:w]
    period, angle = rng.uniform(4, 30), rng.uniform(0, np.pi)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    if kind < 0.75:
        wave = np.maximum(wave, np.sin((x * np.sin(angle) - y * np.cos(angle)) * 2 * np.pi / period))
    wave = (wave > rng.uniform(-0.5, 0.7)).astype(np.float32) * rng.uniform(0, 1)
    return (base + wave[..., None] * rng.uniform(-90, 90, 3)).clip(0, 255).astype(np.uint8)


def blend(scene, top, mask, x, y):
    """top (uint8 [h,w,3]) with opacity mask (uint8 [h,w]) onto scene at x, y, in place; parts outside are cut off."""
    h, w = top.shape[:2]
    x0, y0, x1, y1 = max(0, x), max(0, y), min(scene.shape[1], x + w), min(scene.shape[0], y + h)
    if x1 <= x0 or y1 <= y0:
        return
    inside = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
    a = mask[inside][..., None].astype(np.float32) / 255
    under = scene[y0:y1, x0:x1]
    scene[y0:y1, x0:x1] = (under + (top[inside] - under.astype(np.float32)) * a).astype(np.uint8)


def border_mask(rng, w, h):
    """A box with hard, soft or round borders, uint8 [h,w]."""
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    power = rng.choice([2.5, 4, 8, 40])
    return (np.clip(rng.uniform(2, 16) * (1 - (np.abs(x) ** power + np.abs(y) ** power)), 0, 1) * 255).astype(np.uint8)


def draw(scene, points, fill, blur=0.0, shade=None):
    """A filled polygon onto scene, in place; shade: uint8 [H,W,3] to fill with instead of one colour."""
    h, w = scene.shape[:2]
    points, margin = np.asarray(points, float), 3 * blur + 1
    x0, y0 = np.floor(np.clip(points.min(0) - margin, 0, (w, h))).astype(int)
    x1, y1 = np.ceil(np.clip(points.max(0) + margin, 0, (w, h))).astype(int)
    if x1 <= x0 or y1 <= y0:
        return
    mask = Image.new("L", (int(x1 - x0), int(y1 - y0)))
    ImageDraw.Draw(mask).polygon([(float(a), float(b)) for a, b in points - (x0, y0)], fill=255)
    if blur:
        mask = mask.filter(ImageFilter.GaussianBlur(float(blur)))
    if shade is None:
        top = np.broadcast_to(np.clip(fill, 0, 255).astype(np.uint8), (y1 - y0, x1 - x0, 3))
    else:
        top = shade[y0:y1, x0:x1]
    blend(scene, top, np.asarray(mask), int(x0), int(y0))


def ellipse(cx, cy, rx, ry, turn=0.0, n=24, start=0.0, stop=2 * np.pi):
    t = np.linspace(start, stop, n)
    x, y = rx * np.cos(t), ry * np.sin(t)
    return np.stack([cx + x * np.cos(turn) - y * np.sin(turn), cy + x * np.sin(turn) + y * np.cos(turn)], 1)


def limb(a, b, wa, wb):
    """Corners of a tapered strip from a (width wa) to b (width wb)."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    n = np.array([-(b - a)[1], (b - a)[0]])
    n /= np.hypot(*n) + 1e-6
    return [a + n * wa / 2, b + n * wb / 2, b - n * wb / 2, a - n * wa / 2]


def shaded(rng, skin, w, h):
    """Skin with soft light and a little grain, uint8 [h,w,3]."""
    light = (
        stretch((128 + rng.uniform(-50, 50, (3, 3, 1)) * np.ones(3)).astype(np.uint8), w, h).astype(np.float32) / 128
    )
    return (skin * light + rng.normal(0, 3, (h, w, 1))).clip(0, 255).astype(np.uint8)


def face(rng, scene, skin, cx, cy, r):
    """A head drawn roughly: hair, face, eyes, brows, nose, mouth; sometimes glasses or a beard."""
    h, w = scene.shape[:2]
    hair = rng.uniform(5, 120) * np.array([1, rng.uniform(0.7, 1), rng.uniform(0.4, 1)])
    turn, blur = rng.uniform(-0.3, 0.3), max(0.4, r * 0.05)
    if rng.random() < 0.85:
        draw(
            scene,
            ellipse(cx, cy - 0.25 * r, r * rng.uniform(0.85, 1.2), r * rng.uniform(1.0, 1.35), turn),
            hair,
            blur,
        )
    draw(scene, ellipse(cx, cy, 0.8 * r, 1.1 * r, turn), skin, blur, shaded(rng, skin, w, h))
    if rng.random() < 0.3:
        draw(scene, ellipse(cx, cy + 0.65 * r, 0.65 * r, 0.5 * r, turn), hair, blur * 2)
    dark = skin * rng.uniform(0.2, 0.6)
    look = rng.uniform(-0.15, 0.15) * r
    for side in (-1, 1):
        ex = cx + look + side * 0.32 * r
        draw(scene, ellipse(ex, cy - 0.15 * r, 0.13 * r, 0.07 * r), dark, blur / 2)
        draw(
            scene,
            limb((ex - 0.18 * r, cy - 0.34 * r), (ex + 0.18 * r, cy - 0.34 * r), 0.08 * r, 0.06 * r),
            hair,
            blur / 2,
        )
        if side == 1 and rng.random() < 0.3:
            for g in (-1, 1):
                ring = ellipse(cx + look + g * 0.32 * r, cy - 0.15 * r, 0.25 * r, 0.2 * r)
                draw(scene, np.concatenate([ring, ring[::-1] * 0.8 + ring.mean(0) * 0.2]), (20, 20, 20), blur / 3)
    draw(
        scene,
        limb((cx + look, cy - 0.1 * r), (cx + look * 1.3, cy + 0.25 * r), 0.1 * r, 0.22 * r),
        skin * rng.uniform(0.7, 1.05),
        blur,
    )
    draw(
        scene,
        ellipse(cx + look, cy + 0.52 * r, 0.3 * r, 0.08 * r),
        skin * rng.uniform([0.6, 0.3, 0.3], [0.9, 0.6, 0.6]),
        blur / 2,
    )


def person(rng, pool, scene, skin, r):
    """Torso, neck and head of head radius r somewhere on scene, in place; returns the shoulders' points."""
    h, w = scene.shape[:2]
    cx, cy = rng.uniform(0.1, 0.9) * w, rng.uniform(-0.2, 0.65) * h
    wide, drop = r * rng.uniform(1.6, 2.4), r * rng.uniform(1.4, 1.9)
    cloth = texture(rng, pool, w, h)
    low = cy + drop + r * rng.uniform(3, 7)
    draw(scene, limb((cx, cy), (cx, cy + drop * 1.1), 0.9 * r, 1.0 * r), skin * 0.9, r * 0.05)
    body = [
        (cx - wide, cy + drop + 0.4 * r),
        (cx - 0.5 * r, cy + drop),
        (cx + 0.5 * r, cy + drop),
        (cx + wide, cy + drop + 0.4 * r),
        (cx + wide * rng.uniform(0.7, 1.1), low),
        (cx - wide * rng.uniform(0.7, 1.1), low),
    ]
    draw(scene, body, 0, r * 0.04, cloth)
    face(rng, scene, skin, cx, cy, r)
    return [(cx + s * wide * 0.9, cy + drop + 0.6 * r) for s in (-1, 1)], cloth


def arm(rng, pool, scene, skin, wrist, width, shoulder=None, cloth=None):
    """Forearm and upper arm from the wrist, in place; sleeves of any length."""
    h, w = scene.shape[:2]
    down = np.array([rng.normal(0, 0.5), 1.0])
    elbow = np.asarray(wrist) + down / np.hypot(*down) * width * rng.uniform(2.5, 6)
    thick = width * rng.uniform(1.0, 1.5)
    tone = shaded(rng, skin, w, h)
    cloth = texture(rng, pool, w, h) if cloth is None else cloth
    if shoulder is not None:
        draw(scene, limb(elbow, shoulder, thick, thick * 1.4), 0, width * 0.05, cloth if rng.random() < 0.7 else tone)
    draw(scene, limb(wrist, elbow, width, thick), 0, width * 0.05, tone)
    if rng.random() < 0.6:
        cut = np.asarray(wrist) + (elbow - wrist) * rng.uniform(0.0, 0.8)
        draw(scene, limb(cut, elbow, thick * 1.1, thick * 1.3), 0, width * 0.05, cloth)


def backdrop(rng, pool, w, h, photo=0.6):
    """What is behind: a photograph (this share of them), a wall, or a room of walls and boxes."""
    kind = rng.random()
    if kind < photo:
        return pool.photo(rng, w, h).copy()
    scene = (
        texture(rng, pool, w, h).copy()
        if kind < 0.75 * photo + 0.25
        else stretch(
            (rng.uniform(20, 245) * rng.uniform(0.85, 1.1, 3) + rng.uniform(-30, 30, (2, 2, 1)))
            .clip(0, 255)
            .astype(np.uint8),
            w,
            h,
        ).copy()
    )
    for _ in range(rng.integers(0, 7)):
        a, b = rng.uniform(0, w, 2), rng.uniform(0, h, 2)
        box = [(a[0], b[0]), (a[1], b[0] + rng.normal(0, 0.03 * h)), (a[1], b[1]), (a[0], b[1])]
        draw(scene, box, 0, rng.uniform(0, 2), texture(rng, pool, w, h))
    return scene


def turned(rng, rgb, mask, degrees):
    """Crop and mask turned by the angle, corners cut off."""
    image = Image.fromarray(np.dstack([rgb, mask])).rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    out = np.asarray(image)
    return out[..., :3], out[..., 3]


class Studio:
    """Draws scenes, crops and negatives."""

    def __init__(self, pool: Pool, synth: Path | None = None):
        self.pool = pool
        self.weight = np.array([1.5 if c == "other" else 1.0 for c in LABELS[:-1]]) * [
            len(pool.crops[c]) > 0 for c in LABELS[:-1]
        ]
        self.weight /= self.weight.sum()
        self.synth = synthetic(synth) if synth else []

    def label(self, rng):
        return str(rng.choice(LABELS[:-1], p=self.weight))

    def any_hand(self, rng):
        label = self.label(rng)
        return label, self.pool.hand(rng, label)

    def put_hand(self, rng, scene, side, figure=None, at=None):
        """One hand of longer side `side` pixels onto scene, in place; returns (label, box x0 y0 x1 y1)."""
        label, rgb = self.any_hand(rng)
        skin = colour(rgb)
        h0, w0 = rgb.shape[:2]
        ratio = np.exp(rng.uniform(-0.12, 0.12))
        scale = side / max(h0, w0)
        w, h = max(5, int(w0 * scale * ratio)), max(5, int(h0 * scale / ratio))
        H, W = scene.shape[:2]
        x, y = at or (
            int(rng.uniform(*sorted((-0.1 * w, W - 0.9 * w)))),
            int(rng.uniform(*sorted((-0.1 * h, H - 0.9 * h)))),
        )
        if figure is not None or rng.random() < 0.4:
            shoulders, cloth = figure or (None, None)
            shoulder = shoulders[rng.integers(2)] if shoulders else None
            arm(
                rng,
                self.pool,
                scene,
                skin,
                (x + w * rng.uniform(0.4, 0.6), y + h * rng.uniform(0.75, 0.95)),
                w * rng.uniform(0.3, 0.55),
                shoulder,
                cloth,
            )
        rgb = stretch(rgb, w, h)
        kind = rng.random()
        mask = border_mask(rng, w, h)
        if kind < 0.6:
            mask = (
                np.maximum(skin_mask(rgb), (mask > 250) * np.uint8(rng.choice([0, 0, 60])))
                if kind < 0.4
                else np.minimum(mask, np.maximum(skin_mask(rgb), 90))
            )
        box = np.array([x, y, x + w, y + h], float)
        if rng.random() < 0.35:
            angle = rng.uniform(-25, 25)
            rgb, mask = turned(rng, rgb, mask, angle)
            grow = np.array([rgb.shape[1] - w, rgb.shape[0] - h]) / 2
            x, y = int(x - grow[0]), int(y - grow[1])
            box += np.array([-1, -1, 1, 1]) * np.tile(grow, 2) * 0.5
        blend(scene, rgb, mask, x, y)
        return label, box

    def put_decoy(self, rng, scene):
        """Something that is no hand, pasted as hands are, in place."""
        H, W = scene.shape[:2]
        w, h = (max(6, int(np.exp(rng.uniform(np.log(8), np.log(0.6 * H))))) for _ in range(2))
        x, y = int(rng.uniform(-0.3 * w, W - 0.7 * w)), int(rng.uniform(-0.3 * h, H - 0.7 * h))
        kind = rng.random()
        if kind < 0.4:
            top = stretch(self.piece(rng), w, h)
        elif kind < 0.6:
            top = shaded(rng, colour(self.any_hand(rng)[1]), w, h)
        else:
            top = self.pool.photo(rng, w, h, 0.02)
        blend(scene, top, border_mask(rng, w, h), x, y)

    def piece(self, rng):
        """2..9 % of a hand crop: skin and cloth, too little to tell a hand by."""
        return part(rng, self.any_hand(rng)[1], 0.02, 0.09)

    def scene(self, rng, w, h, low, high, most=2, behind=None):
        """Composed picture uint8 [h,w,3] and its hands [(label, box in pixels)]: 0..most of them, longer side
        low..high pixels; before `behind`, which becomes the picture, or a backdrop of its own."""
        scene = backdrop(rng, self.pool, w, h) if behind is None else behind
        for _ in range(rng.integers(0, 3)):
            self.put_decoy(rng, scene)
        skin = colour(self.any_hand(rng)[1])
        side = np.exp(rng.uniform(np.log(low), np.log(high)))
        figure = person(rng, self.pool, scene, skin, side * rng.uniform(0.4, 0.75)) if rng.random() < 0.65 else None
        hands = (
            [
                self.put_hand(rng, scene, side * rng.uniform(0.85, 1.15), figure)
                for _ in range(rng.integers(1, most + 1))
            ]
            if most
            else []
        )
        if not most and figure is not None and rng.random() < 0.6:  # an arm that ends in nothing or leaves the picture
            arm(
                rng,
                self.pool,
                scene,
                skin,
                (rng.uniform(-0.2, 1.2) * w, rng.uniform(0.3, 1.3) * h),
                side * 0.4,
                figure[0][0],
                figure[1],
            )
        return scene, hands

    def close(self, rng, size=CROP):
        """A crop that fills the picture: cut by up to 10 % at a side, or with up to 25 % more around it."""
        label, rgb = self.any_hand(rng)
        h, w = rgb.shape[:2]
        pad = int(0.26 * max(h, w)) + 1
        kind = rng.random()
        if kind < 0.5:
            wide = np.pad(rgb, ((pad, pad), (pad, pad), (0, 0)), str(rng.choice(["edge", "reflect", "symmetric"])))
        else:
            wide = backdrop(rng, self.pool, w + 2 * pad, h + 2 * pad)
            if rng.random() < 0.5:
                arm(
                    rng,
                    self.pool,
                    wide,
                    colour(rgb),
                    (pad + w * rng.uniform(0.4, 0.6), pad + h * 0.85),
                    w * rng.uniform(0.3, 0.55),
                )
            mask = skin_mask(rgb) if kind < 0.75 else border_mask(rng, w, h)
            blend(wide, rgb, mask, pad, pad)
        x0, y0, x1, y1 = rng.uniform(-0.10, 0.25, 4) * [w, h, w, h]
        image = Image.fromarray(wide).resize(
            (size, size),
            Image.Resampling.BILINEAR,
            box=(max(0, pad - x0), max(0, pad - y0), min(w + 2 * pad, pad + w + x1), min(h + 2 * pad, pad + h + y1)),
        )
        sx, sy = size / (w + x0 + x1), size / (h + y0 + y1)
        return label, np.asarray(image), np.array([x0 * sx, y0 * sy, (x0 + w) * sx, (y0 + h) * sy])

    def rendered(self, rng):
        """A picture of the synthetic flight: (label, uint8 [h,w,3], box in pixels or None)."""
        label, rgb, box = self.synth[rng.integers(len(self.synth))]
        return label, rgb, box


def synthetic(root: Path) -> list:
    """Renderings of scripts/synthflight with boxes: [(label, uint8 [240,320,3], box in pixels or None)]."""
    with open(root / "gesture/boxes.csv") as file:
        boxes = {row[0]: np.array(row[1:], float) * [320, 240, 320, 240] for row in csv.reader(file)}
    out = []
    for label in LABELS:
        for path in data.images(root / "gesture" / label):
            box = boxes.get(f"{label}/{path.name}")
            if (box is None) == (label == "none"):
                out.append((label, stretch(np.asarray(data.load(path)), 320, 240), box))
    return out


def window(box, w, h, pad=1.25):
    """The square of side pad*max(w,h) round a box, moved and cut to lie inside a picture w x h: (x0, y0, x1, y1)."""
    side = pad * max(box[2] - box[0], box[3] - box[1])
    sw, sh = min(side, w), min(side, h)
    x = float(np.clip((box[0] + box[2] - sw) / 2, 0, w - sw))
    y = float(np.clip((box[1] + box[3] - sh) / 2, 0, h - sh))
    return x, y, x + sw, y + sh


def cut(rgb, box, size):
    """The part of rgb in box (floats, inside), resized to size x size."""
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(rgb)).resize((size, size), Image.Resampling.BILINEAR, box=tuple(box))
    )


# --- what a camera does ------------------------------------------------------------


def motion_blur(rng, x):
    """Float [h,w,3] smeared along a random direction by up to 7 pixels."""
    n, angle = int(rng.integers(2, 8)), rng.uniform(0, np.pi)
    return sum(np.roll(x, (round(i * np.sin(angle)), round(i * np.cos(angle))), (0, 1)) for i in range(n)) / n


def camera(rng, rgb):
    """Exposure, colour, haze, low resolution, blur, noise and compression; uint8 of the same shape."""
    h, w = rgb.shape[:2]
    x = rgb.astype(np.float32) / 255
    if rng.random() < 0.85:
        x = np.clip((x - 0.5) * rng.uniform(0.6, 1.35) + 0.5 + rng.uniform(-0.2, 0.18), 0, 1) ** np.exp(
            rng.uniform(-0.5, 0.6)
        )
        grey = x.mean(2, keepdims=True)
        x = (grey + (x - grey) * rng.uniform(0.3, 1.5)) * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.12:
        x *= rng.uniform(0.25, 0.6)
    if rng.random() < 0.12:
        haze = rng.uniform(0, 0.5)
        x = x * (1 - haze) + haze * rng.uniform(0.55, 0.95)
    if rng.random() < 0.15:
        x = motion_blur(rng, x)
    if rng.random() < 0.2:
        x = x + rng.normal(0, rng.uniform(0.005, 0.05), x.shape)
    image = Image.fromarray((x.clip(0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(30, 95)), subsampling=int(rng.choice([0, 2])))
        image = Image.open(buffer)
    return np.asarray(image)


def coarse(rng, rgb, low=22):
    """As seen from farther away: reduced to low..size pixels and enlarged again."""
    h, w = rgb.shape[:2]
    n = np.exp(rng.uniform(np.log(low), np.log(w)))
    small = Image.fromarray(rgb).resize((int(n), max(8, int(n * h / w))), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((w, h), Image.Resampling.BILINEAR))
