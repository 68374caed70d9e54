"""Training samples: photographs, composites with exact labels, and augmentation.

A sample is a pure function of (seed, index), so an interrupted run continues with the samples it would have seen.

Layout of the data folder (`--data`):
  fire/{train,val}/{nofire,smoke,fire}/*.jpg     gesture/{train,val}/<label>/*.jpg
  fire_masks/{img,mask}                          flames with masks (255 = fire)
  clips/*smoke_on_black*.mp4                     smoke before black: its brightness is its opacity
Optional renderings (`--synth`, from scripts/synthflight): DIR/*/fire/<label>/*.jpg and DIR/*/gesture/<label>/*.jpg.
"""
import csv
import io
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from torch.utils.data import Dataset

import preprocess

LABELS = {
    "fire": ["nofire", "smoke", "fire"],
    "gesture": ["fist", "point", "peace", "palm", "thumb_up", "thumb_down", "ok", "rock", "call", "other", "none"],
}
SIZE = {"fire": 224, "gesture": 160}
CANVAS = 256  # composites are made at this size, then reduced


def images(folder: Path) -> list:
    """Image files directly in folder, sorted."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def load(path) -> Image.Image:
    with Image.open(path) as image:
        return preprocess.to_rgb(image)


# --- building blocks: every function takes the sample's generator and returns arrays of CANVAS size -------------------------

def crop(rng, image, low=0.5, size=CANVAS, aspect=0.25, high=1.0) -> np.ndarray:
    """A random part of image (area share low..high, aspect changed by up to e^±aspect), mirrored half of the time.

    Returns uint8 [size,size,3]."""
    w, h = image.size
    area, ratio = rng.uniform(low, high), np.exp(rng.uniform(-aspect, aspect))
    cw, ch = min(w, w * np.sqrt(area * ratio)), min(h, h * np.sqrt(area / ratio))
    x, y = rng.random() * (w - cw), rng.random() * (h - ch)
    out = image.resize((size, size), Image.Resampling.BILINEAR, box=(x, y, x + cw, y + ch))
    return np.asarray(out.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else out)


def noise(rng, octaves=5) -> np.ndarray:
    """Fractal noise in 0..1, float32 [CANVAS,CANVAS]."""
    total = np.zeros((CANVAS, CANVAS), np.float32)
    for octave in range(octaves):
        n = 3 * 2 ** octave
        grid = Image.fromarray(rng.random((n, n), np.float32))
        total += np.asarray(grid.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)) / 1.8 ** octave
    total -= total.min()
    return total / total.max()


def plume(rng) -> np.ndarray:
    """Opacity of a made-up smoke column that widens and leans with the wind, float32 [CANVAS,CANVAS]."""
    y, x = np.mgrid[0:1:CANVAS * 1j, 0:1:CANVAS * 1j].astype(np.float32)
    base_x, base_y, top = rng.uniform(0.1, 0.9), rng.uniform(0.4, 1), rng.uniform(-0.3, 0.3)
    rise = np.clip((base_y - y) / (base_y - top), 0, 1)
    lean, spread, root = rng.uniform(-0.8, 0.8), rng.uniform(0.05, 0.5), rng.uniform(0.01, 0.06)
    centre = base_x + lean * rise ** rng.uniform(1, 2)
    shape = np.exp(-(((x - centre) / (root + spread * rise)) ** 2)) * (y < base_y)
    billows = np.clip((noise(rng) - rng.uniform(0.15, 0.4)) * rng.uniform(2, 4), 0, 1)
    return np.clip(shape * billows * (1.2 - rng.uniform(0.2, 1.1) * rise), 0, 1)


def place(rng, rgba, height, canvas=CANVAS, ground=False) -> np.ndarray:
    """rgba (uint8 [h,w,4]) scaled to height (share of the canvas) somewhere on it; float32 [canvas,canvas,4], colours 0..255."""
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


def over(background, colour, alpha) -> np.ndarray:
    """colour (broadcastable to [H,W,3]) over background with opacity alpha float [H,W]; uint8."""
    a = alpha[..., None]
    return (background * (1 - a) + colour * a).clip(0, 255).astype(np.uint8)


def degrade(rng, rgb, size) -> np.ndarray:
    """What a flying camera does to a picture: light, colour, haze, blur, noise, compression. uint8 [size,size,3]."""
    image = preprocess.resize(Image.fromarray(rgb), size, size)
    if rng.random() < 0.3:
        image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, fillcolor=tuple(int(v) for v in rng.integers(0, 256, 3)))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.8)))
    x = np.asarray(image).astype(np.float32) / 255
    if rng.random() < 0.8:
        x = np.clip((x - 0.5) * rng.uniform(0.65, 1.35) + 0.5 + rng.uniform(-0.18, 0.18), 0, 1) ** np.exp(rng.uniform(-0.4, 0.4))
        grey = x.mean(2, keepdims=True)
        x = (grey + (x - grey) * rng.uniform(0.5, 1.5)) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    if rng.random() < 0.15:
        haze = rng.uniform(0, 0.45)
        x = x * (1 - haze) + haze * rng.uniform(0.55, 0.95)
    if rng.random() < 0.25:
        x = x + rng.normal(0, rng.uniform(0.005, 0.05), x.shape)
    x = (x.clip(0, 1) * 255).round().astype(np.uint8)
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        Image.fromarray(x).save(buffer, "JPEG", quality=int(rng.integers(30, 95)), subsampling=int(rng.choice([0, 2])))
        x = np.asarray(Image.open(buffer))
    return x


# --- fire -------------------------------------------------------------------------------------------------------------------

class Fire:
    """Draws one fire sample: label by the class shares, then a photograph or a composite over a fireless photograph."""

    SHARE = {"nofire": 0.44, "smoke": 0.26, "fire": 0.30}

    def __init__(self, root: Path):
        self.files = {c: images(root / "fire/train" / c) for c in LABELS["fire"]}
        self.flames = [(root / "fire_masks/img" / f"{m.stem}.jpg", m) for m in images(root / "fire_masks/mask")]
        self.clip = smoke_clip(next((root / "clips").glob("*smoke_on_black*.mp4")))

    def draw(self, rng):
        label = rng.choice(list(self.SHARE), p=list(self.SHARE.values()))
        return label, getattr(self, label)(rng)

    def photo(self, rng, label, low) -> np.ndarray:
        files = self.files[label]
        return crop(rng, load(files[rng.integers(len(files))]), low)

    def nofire(self, rng):
        """A fireless photograph; a third carries a decoy, so that the edge of a composite or a shape alone is no clue."""
        scene = self.photo(rng, "nofire", 0.25)
        chance = rng.random()
        if chance < 0.2:
            scene = over(scene, self.photo(rng, "nofire", 0.1), self.smoke_opacity(rng))
        elif chance < 0.33:
            spot = place(rng, np.full((40, 40, 4), 255, np.uint8), rng.uniform(0.02, 0.25))[..., 3] / 255
            glow = np.asarray(Image.fromarray((spot * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(1, 10)))) / 255
            colour = rng.choice([(255, 255, 250), (255, 240, 200), (220, 60, 40), (240, 140, 30), (235, 220, 60), (250, 250, 255)])
            scene = over(scene, colour.astype(np.float32), glow.astype(np.float32) * rng.uniform(0.5, 1))
        return scene

    def smoke(self, rng):
        if rng.random() < 0.35:
            return self.photo(rng, "smoke", 0.5)
        scene = self.photo(rng, "nofire", 0.25)
        for _ in range(rng.integers(1, 3)):
            scene = self.add_smoke(rng, scene)
        return scene

    def fire(self, rng):
        if rng.random() < 0.6:
            return self.photo(rng, "fire", 0.5)
        scene = self.photo(rng, "nofire", 0.25)
        if rng.random() < 0.5:
            scene = self.add_smoke(rng, scene)
        if rng.random() < 0.4:
            scene = (scene * rng.uniform(0.25, 0.9)).astype(np.uint8)
        for _ in range(rng.integers(1, 4)):
            scene = self.add_flame(rng, scene)
        return scene

    def smoke_opacity(self, rng) -> np.ndarray:
        """float32 [CANVAS,CANVAS], 0..1, covering at least one hundredth of the frame."""
        for _ in range(8):
            if rng.random() < 0.5:
                frame = self.clip[rng.integers(len(self.clip))]
                rgba = np.repeat(frame[..., None], 4, 2)
                alpha = place(rng, rgba, rng.uniform(0.25, 1.6))[..., 3] / 255
            else:
                alpha = plume(rng)
            if alpha.mean() > 0.01:
                break
        return (alpha * rng.uniform(0.6, 1.0)).astype(np.float32)

    def add_smoke(self, rng, scene):
        alpha = self.smoke_opacity(rng)
        tone = rng.uniform(130, 245) if rng.random() < 0.75 else rng.uniform(25, 110)
        tint = tone * rng.uniform([0.97, 0.94, 0.88], [1.06, 1.02, 1.06])
        shade = (0.75 + 0.35 * noise(rng, 3))[..., None]
        return over(scene, tint * shade, alpha)

    def add_flame(self, rng, scene):
        """Flames cut from a masked photograph, or from a fire photograph by their brightness, at 4..45 % of the height."""
        if rng.random() < 0.5:
            image, mask = self.flames[rng.integers(len(self.flames))]
            rgb, inside = np.asarray(load(image)), np.asarray(Image.open(mask).convert("L")) == 255
            if not inside.any():
                return self.add_flame(rng, scene)
            ys, xs = np.nonzero(inside)
            box = np.s_[ys.min():ys.max() + 1, xs.min():xs.max() + 1]
            rgb, window = rgb[box], inside[box] * 255.0
        else:
            rgb = crop(rng, load(self.files["fire"][rng.integers(len(self.files["fire"]))]), 0.15, 96)
            y, x = np.mgrid[-1:1:96j, -1:1:96j]
            window = 255 * np.clip(1.6 - 1.6 * (np.abs(x) ** 2.5 + np.abs(y) ** 2.5), 0, 1)
            window = window * (rgb[..., 0] > rgb[..., 2] * 1.25)
        bright = np.clip((rgb.max(2) - 110.0) / 90, 0, 1)
        alpha = Image.fromarray((window * bright).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
        layer = place(rng, np.dstack([rgb, np.asarray(alpha)]), rng.uniform(0.06, 0.45), ground=True)
        if layer[..., 3].sum() < 255 * 40:  # under 40 opaque pixels: draw again, or the label would lie
            return self.add_flame(rng, scene)
        return over(scene, layer[..., :3], layer[..., 3] / 255)


def smoke_clip(path: Path, step=4) -> np.ndarray:
    """Every step-th frame of the clip, the plume's part, uint8 [n,360,280]."""
    w, h = 280, 360
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", f"select=not(mod(n\\,{step})),scale=640:360,crop={w}:{h}",
               "-vsync", "vfr", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, h, w)
    return frames[frames.mean((1, 2)) > 2]


# --- gesture ----------------------------------------------------------------------------------------------------------------

class Gesture:
    """Draws one gesture sample: a hand crop alone or set into a background, or (none) a background without a hand."""

    def __init__(self, root: Path):
        self.files = {c: images(root / "gesture/train" / c) for c in LABELS["gesture"][:-1]}
        self.backgrounds = [p for c in LABELS["fire"] for p in images(root / "fire/train" / c)]
        weight = np.array([1.0] * 9 + [1.4, 3.0])
        self.share = weight / weight.sum()

    def draw(self, rng):
        label = rng.choice(LABELS["gesture"], p=self.share)
        if label == "none":
            return label, self.none(rng)
        image = load(self.files[label][rng.integers(len(self.files[label]))])
        return label, self.alone(rng, image) if rng.random() < 0.35 else self.framed(rng, image)

    def background(self, rng) -> np.ndarray:
        """Any fire training photograph, a plain colour, or a smooth gradient (walls, sky)."""
        if rng.random() < 0.85:
            return crop(rng, load(self.backgrounds[rng.integers(len(self.backgrounds))]), 0.1)
        corners = rng.uniform(20, 250, 3) + rng.uniform(-50, 50, (2, 2, 3))
        grid = Image.fromarray(corners.clip(0, 255).astype(np.uint8))
        return np.asarray(grid.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR))

    def none(self, rng):
        """No hand; half of the time other photographs are pasted in as the hands are, so that a pasted box is no clue.

        A third of all pictures here are small pieces of hand crops: skin and cloth alone are no gesture."""
        piece = lambda: self.piece(rng) if rng.random() < 0.35 else self.background(rng)
        scene = piece()
        return self.paste(rng, scene, Image.fromarray(piece())) if rng.random() < 0.5 else scene

    def piece(self, rng) -> np.ndarray:
        """2..9 % of the area of a hand crop, too little to tell a shape by."""
        label = rng.choice(LABELS["gesture"][:-1])
        return crop(rng, load(self.files[label][rng.integers(len(self.files[label]))]), 0.02, high=0.09)

    def alone(self, rng, image):
        """The crop fills the frame: cut by up to 6 % at each side, or its border repeated outwards by up to 15 %."""
        w, h = image.size
        cut = rng.uniform(-0.15, 0.06, 4) * [w, h, w, h]
        pad = int(np.ceil(0.16 * max(w, h)))
        wide = Image.fromarray(np.pad(np.asarray(image), ((pad, pad), (pad, pad), (0, 0)), rng.choice(["edge", "reflect", "symmetric"])))
        box = (pad + cut[0], pad + cut[1], pad + w - cut[2], pad + h - cut[3])
        out = wide.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR, box=box)
        return np.asarray(out.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else out)

    def framed(self, rng, image):
        return self.paste(rng, self.background(rng), image)

    def paste(self, rng, scene, image):
        """image set into scene at 0.33..1 of the frame's side, with a hard, soft or round border."""
        if rng.random() < 0.4:
            image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, expand=False,
                                 fillcolor=tuple(int(v) for v in np.asarray(image).mean((0, 1))))
        side = rng.uniform(0.33, 1.0)
        ratio = np.clip(image.width / image.height, 0.5, 1.5) * rng.uniform(0.7, 1.15)
        h = int(CANVAS * min(1, side / max(1, ratio)))
        w = int(min(CANVAS, h * ratio))
        y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
        power = rng.choice([2.5, 4, 8, 60])
        soft = rng.uniform(1.5, 20)
        mask = np.clip(soft * (1 - (np.abs(x) ** power + np.abs(y) ** power)), 0, 1)
        rgb = np.asarray(image.resize((w, h), Image.Resampling.BILINEAR))
        patch = np.dstack([rgb, (mask * 255).astype(np.uint8)])[:, ::rng.choice([-1, 1])]
        left, top = rng.integers(0, CANVAS - w + 1), rng.integers(0, CANVAS - h + 1)
        out = scene.copy()
        part = out[top:top + h, left:left + w]
        out[top:top + h, left:left + w] = over(part, patch[..., :3].astype(np.float32), patch[..., 3] / 255)
        return out


# --- the data set -----------------------------------------------------------------------------------------------------------

class Samples(Dataset):
    """Endless training samples; item i is (float32 [3,H,W] normalised, label index)."""

    def __init__(self, task: str, root: Path, seed=0, synth: Path | None = None, synth_share=0.12):
        self.task, self.seed, self.labels = task, seed, LABELS[task]
        self.source = {"fire": Fire, "gesture": Gesture}[task](root)
        self.synth = {c: images_below(synth, task, c) for c in self.labels} if synth else {}
        self.synth = {c: files for c, files in self.synth.items() if files}
        self.synth_share = synth_share if self.synth else 0

    def __len__(self):
        return 2 ** 40

    def rgb(self, index):
        """Label name and uint8 [H,W,3] before normalisation."""
        rng = np.random.default_rng([self.seed, index])
        if rng.random() < self.synth_share:
            label = rng.choice(list(self.synth))
            files = self.synth[label]
            scene = crop(rng, load(files[rng.integers(len(files))]), 0.8)
        else:
            label, scene = self.source.draw(rng)
        return label, degrade(rng, scene, SIZE[self.task])

    def __getitem__(self, index):
        label, rgb = self.rgb(index)
        return preprocess.normalise(rgb), self.labels.index(label)


def images_below(root: Path, task: str, label: str) -> list:
    """Images of DIR/<task>/<label> and DIR/*/<task>/<label>."""
    return sorted(p for pattern in ("", "*/") for d in root.glob(f"{pattern}{task}/{label}") for p in images(d))


def validation(task: str, root: Path) -> list:
    """(path, label index) of the validation photographs. For gesture, `none` is the fire validation set (no hand in it)."""
    labels = LABELS[task]
    pairs = [(p, labels.index(c)) for c in labels for p in images(root / task / "val" / c)]
    if task == "gesture":
        pairs += [(p, labels.index("none")) for c in LABELS["fire"] for p in images(root / "fire/val" / c)]
    return pairs


def frames(root: Path, side=0.3) -> list:
    """(path, label index) of the full frames of gesture_frames with one hand, whose box spans at least `side` of the frame's."""
    with open(root / "gesture_frames/boxes.csv") as file:
        rows = list(csv.DictReader(file))
    hands = Counter(row["file"] for row in rows)
    pairs = []
    for row in (r for r in rows if hands[r["file"]] == 1):
        with Image.open(root / row["file"]) as image:
            w, h = image.size
        box = [float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]
        if max((box[2] - box[0]) / w, (box[3] - box[1]) / h) >= side:
            pairs.append((root / row["file"], LABELS["gesture"].index(row["class"])))
    return pairs
