"""Decoded photographs in one file: every epoch after the first reads memory instead of JPEGs.

A store is a pair of files: NAME.npy, uint8 [N,SIDE,SIDE,3], each photograph squashed to a square as preprocess.py does,
and NAME.json, one record {path, label, source} for each row. Squashing early is harmless: the network sees squashed
frames anyway.
"""

import csv
import json
from pathlib import Path

import numpy as np

import preprocess

SIDE = 288
EXTENSIONS = (".jpg", ".jpeg", ".png")


def images(folder: Path) -> list:
    """Image files directly in folder, sorted."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in EXTENSIONS)


def sources(root: Path) -> dict:
    """Path below the data folder -> source, of MANIFEST.csv; empty where there is none."""
    listing = root / "MANIFEST.csv"
    if not listing.exists():
        return {}
    with open(listing) as file:
        return {row["file"]: row["source"] for row in csv.DictReader(file)}


class Store:
    """Photographs of one kind. rows[i] describes pixels[i]; the pixels stay on disk until they are read."""

    def __init__(self, pixels, rows):
        self.pixels, self.rows = pixels, rows
        self.labels = np.array([r["label"] for r in rows])
        self.sources = np.array([r["source"] for r in rows])

    def __len__(self):
        return len(self.rows)

    def where(self, label=None, without=None, only=None) -> np.ndarray:
        """Indices of rows with this label, without one source or only of one."""
        keep = np.ones(len(self), bool)
        keep &= self.labels == label if label is not None else True
        keep &= self.sources != without if without is not None else True
        keep &= self.sources == only if only is not None else True
        return np.flatnonzero(keep)


def build(name: Path, files: list) -> None:
    """Decode files, a list of (path, label, source), into the store called name."""
    name.parent.mkdir(parents=True, exist_ok=True)
    part = name.with_suffix(".part.npy")
    pixels = np.lib.format.open_memmap(part, "w+", np.uint8, (len(files), SIDE, SIDE, 3))
    for i, (path, _, _) in enumerate(files):
        pixels[i] = preprocess.pixels(path, SIDE, SIDE)
    pixels.flush()
    part.replace(name.with_suffix(".npy"))
    rows = [dict(path=str(p), label=label, source=source) for p, label, source in files]
    name.with_suffix(".json").write_text(json.dumps(rows))


def open_store(name: Path, files) -> Store:
    """The store called name, built first from files() if it is absent."""
    if not name.with_suffix(".json").exists():
        listed = files()
        print(f"decoding {len(listed)} photographs into {name}.npy, once", flush=True)
        build(name, listed)
    return Store(np.load(name.with_suffix(".npy"), mmap_mode="r"), json.loads(name.with_suffix(".json").read_text()))


def fire(root: Path, cache: Path, split: str) -> Store:
    """The photographs of fire/<split>/<label>."""

    def files():
        known = sources(root)
        return [
            (p, label, known.get(str(p.relative_to(root)), "unknown"))
            for label in ("nofire", "smoke", "fire")
            for p in images(root / "fire" / split / label)
        ]

    return open_store(cache / f"fire-{split}", files)


def rendered(folder: Path, cache: Path) -> Store:
    """Renderings of scripts/synthflight: DIR/*/fire/<label>."""

    def files():
        return [
            (p, label, "synthflight")
            for label in ("nofire", "smoke", "fire")
            for d in sorted(folder.glob(f"*/fire/{label}"))
            for p in images(d)
        ]

    return open_store(cache / "fire-synthflight", files)


def people(root: Path, cache: Path, count=1500) -> Store:
    """Every n-th gesture training crop, about count of them: skin, clothes and rooms, none of them on fire."""

    def files():
        every = [p for d in sorted((root / "gesture/train").glob("*")) for p in images(d)]
        return [(p, "nofire", "people") for p in every[:: max(1, len(every) // count)]]

    return open_store(cache / "people", files)
