"""Photographs and labels.

Layout of the data folder (`--data`):
  fire/{train,val}/{nofire,smoke,fire}/*.jpg     gesture/{train,val}/<label>/*.jpg
  fire_masks/{img,mask}                          flames with masks (255 = fire)
  gesture_frames/{val/*.jpg,boxes.csv}           whole frames with the boxes and labels of hands
  clips/*smoke_on_black*.mp4                     smoke before black: its brightness is its opacity
Optional renderings (`--synth`, from scripts/synthflight): DIR/fire/<label>/*.jpg, DIR/gesture/<label>/*.jpg,
DIR/gesture/boxes.csv.
"""

import csv
from collections import Counter
from pathlib import Path

from PIL import Image

import preprocess

LABELS = {
    "fire": ["nofire", "smoke", "fire"],
    "gesture": ["fist", "point", "peace", "palm", "thumb_up", "thumb_down", "ok", "rock", "call", "other", "none"],
}


def images(folder: Path) -> list:
    """Image files directly in folder, sorted."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def load(path) -> Image.Image:
    with Image.open(path) as image:
        return preprocess.to_rgb(image)


def validation(task: str, root: Path) -> list:
    """(path, label index) of the validation photographs. For gesture, `none` is the fire validation set."""
    labels = LABELS[task]
    pairs = [(p, labels.index(c)) for c in labels for p in images(root / task / "val" / c)]
    if task == "gesture":
        pairs += [(p, labels.index("none")) for c in LABELS["fire"] for p in images(root / "fire/val" / c)]
    return pairs


def frames(root: Path, side=0.3) -> list:
    """(path, label index) of the full frames of gesture_frames with one hand, at least `side` of the frame's long."""
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
