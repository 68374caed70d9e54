"""Rooms, walls and people composed of hand crops, for the fire models: none of them on fire.

The fireless photographs are nearly all landscapes. A model that knows no plain wall, no carpet and no arm before a wall
calls their warm colours fire, and a drone that a person signals to sees exactly these.
"""

import json
from pathlib import Path

import numpy as np

import hands
import photos

COUNT = 3000
WARM = ([140, 20, 0], [255, 200, 90])  # range of red, green and blue: orange paper, brick, leather, red carpet


def warm(rng):
    return rng.uniform(*WARM)


def quad(rng, size, side):
    """Corners of a nearly upright rectangle about `side` wide, anywhere on a picture of this size."""
    x, y = rng.uniform(-0.1, 1.0, 2) * size
    w, h = side * np.exp(rng.normal(0, 0.4, 2))
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)]) + rng.normal(0, 0.04 * side, (4, 2))


def carpet(rng, size):
    """A pattern of two or three warm and dark colours in rows of diamonds and bars: cloth, carpets, curtains."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    period = rng.uniform(8, 60)
    u, v = x / period, y / period * rng.uniform(0.5, 2)
    diamonds = np.abs(u % 1 - 0.5) + np.abs(v % 1 - 0.5) < rng.uniform(0.2, 0.5)
    bars = (v * rng.uniform(0.3, 3)) % 1 < rng.uniform(0.1, 0.5)
    out = np.broadcast_to(warm(rng) * rng.uniform(0.4, 1), (size, size, 3)).copy()
    out[diamonds] = warm(rng) * rng.uniform(0.2, 1.1)
    out[bars & ~diamonds] = rng.uniform(0, 230) * np.ones(3) if rng.random() < 0.5 else warm(rng) * 0.5
    return (out + rng.normal(0, 6, (size, size, 1))).clip(0, 255).astype(np.uint8)


def furnish(rng, scene):
    """Warm things that hang on walls, stand or lie about, in place: notes, posters, cushions, doors, carpets."""
    size = len(scene)
    if rng.random() < 0.2:
        hands.draw(scene, quad(rng, size, size * rng.uniform(0.4, 1.2)), 0, rng.uniform(0, 1.5), carpet(rng, size))
    for _ in range(rng.integers(0, 4)):
        side = size * 0.03 * (0.5 / 0.03) ** rng.random()
        hands.draw(scene, quad(rng, size, side), warm(rng) * rng.uniform(0.5, 1), rng.uniform(0, 1))
    if rng.random() < 0.2:  # light from a window or a lamp
        y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
        cx, cy, r = *rng.uniform(-0.2, 1.2, 2), rng.uniform(0.1, 0.7)
        light = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / r**2)[..., None]
        scene[:] = (scene + light * rng.uniform([80, 60, 10], [230, 210, 170])).clip(0, 255).astype(np.uint8)


def room(rng, studio, size=photos.SIDE):
    """One picture, uint8 [size,size,3]: composed wider than high, squashed as the camera's are."""
    behind = hands.backdrop(rng, studio.pool, size, size, photo=0.25)
    furnish(rng, behind)
    scene, _ = studio.scene(rng, size, size, 0.08 * size, 0.6 * size, most=int(rng.integers(0, 3)), behind=behind)
    return scene


def store(root: Path, cache: Path, count=COUNT, seed=31) -> photos.Store:
    """The composed rooms, made once."""
    name = cache / "rooms"
    if not name.with_suffix(".json").exists():
        print(f"composing {count} rooms into {name}.npy, once", flush=True)
        studio = hands.Studio(hands.Pool(root, fires=False))
        part = name.with_suffix(".part.npy")
        pixels = np.lib.format.open_memmap(part, "w+", np.uint8, (count, photos.SIDE, photos.SIDE, 3))
        for i in range(count):
            pixels[i] = room(np.random.default_rng([seed, i]), studio)
        pixels.flush()
        part.replace(name.with_suffix(".npy"))
        rows = [dict(path=f"room {i}", label="nofire", source="rooms") for i in range(count)]
        name.with_suffix(".json").write_text(json.dumps(rows))
    rows = json.loads(name.with_suffix(".json").read_text())
    return photos.Store(np.load(name.with_suffix(".npy"), mmap_mode="r"), rows)
