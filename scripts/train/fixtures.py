#!/usr/bin/env python3
"""Write the photographs and expected pixels of the Go preprocessing test (camera/pixel/testdata/pil).

Source photographs: scikit-image 0.26.0 (`pip download --no-deps scikit-image==0.26.0`, unzip), folder skimage/data;
only those that its own documentation calls CC0 or public domain are used. For each <name>.jpg, <name>_224.png and
<name>_160.png hold what preprocess.py makes of it before normalisation (8-bit RGB, 224x224 and 160x160).

  fixtures.py --photos skimage/data --out camera/pixel/testdata/pil
"""

import argparse
from pathlib import Path

from PIL import Image

import preprocess

# name: photograph, crop (left, top, right, bottom) or None, scale, JPEG options, EXIF orientation, grey
CASES = {
    "astronaut_420": ("astronaut.png", (20, 0, 497, 391), 1, dict(quality=85, subsampling="4:2:0"), 1, False),
    "coffee_444": ("coffee.png", None, 1, dict(quality=92, subsampling="4:4:4"), 1, False),
    "coffee_422_odd": ("coffee.png", (100, 31, 423, 266), 1, dict(quality=80, subsampling="4:2:2"), 1, False),
    "rocket_420_progressive": (
        "rocket.jpg",
        (100, 0, 539, 427),
        1,
        dict(quality=75, subsampling="4:2:0", progressive=True),
        1,
        False,
    ),
    "chelsea_420_exif6": ("chelsea.png", None, 1, dict(quality=88, subsampling="4:2:0"), 6, False),
    "chelsea_444_exif3_small": ("chelsea.png", None, 0.22, dict(quality=90, subsampling="4:4:4"), 3, False),
    "camera_grey_exif5": ("camera.png", (0, 60, 511, 397), 1, dict(quality=85), 5, True),
    "rocket_420_tiny": ("rocket.jpg", (240, 60, 400, 380), 0.2, dict(quality=90, subsampling="4:2:0"), 1, False),
}
SIZES = (224, 160)


def write_case(photos: Path, out: Path, name: str) -> None:
    file, crop, scale, options, orientation, grey = CASES[name]
    image = Image.open(photos / file).convert("L" if grey else "RGB")
    if crop:
        image = image.crop(crop)
    if scale != 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    jpeg = out / f"{name}.jpg"
    image.save(jpeg, exif=exif, **options)
    for size in SIZES:
        Image.fromarray(preprocess.pixels(jpeg, size, size)).save(out / f"{name}_{size}.png", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with scikit-image's photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        write_case(args.photos, args.out, name)
        print(name)


if __name__ == "__main__":
    main()
