"""Writes pillow.csv: CRC-32 of what Pillow makes of pseudo-random pictures.

    pip install pillow==13.0.0 && python3 pillow.py > pillow.csv

Releases before 13 run the horizontal pass first for all shapes, which moves a
few levels of tall pictures by one.

Each line: source width, height, channels, target width, height, fit, CRC-32 of
the RGB bytes. The pictures are those of noise() in the Go tests.
"""

import sys
import zlib

from PIL import Image, ImageOps

CASES = [
    # source w, h, target w, h
    (640, 480, 224, 224), (640, 480, 160, 160), (480, 640, 224, 224),
    (224, 224, 224, 224), (225, 223, 224, 224), (1, 1, 224, 224),
    (32, 32, 224, 224), (7, 5, 3, 2), (3, 2, 7, 5), (1, 300, 16, 16),
    (300, 1, 16, 16), (100, 37, 33, 64), (37, 100, 64, 33), (2, 2, 1, 1),
    (333, 222, 5, 7), (448, 448, 224, 224), (320, 240, 224, 160),
    (500, 3, 224, 224), (3, 500, 31, 30), (300, 451, 224, 224),
    (300, 376, 224, 224), (300, 377, 224, 224), (60, 45, 66, 46), (641, 479, 223, 225),
]


def noise(w, h, channels):
    x = (w * 7919 + h + 1) & 0xFFFFFFFF
    out = bytearray(w * h * channels)
    for i in range(len(out)):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        out[i] = (x >> 8) & 0xFF
    return Image.frombytes("RGB" if channels == 3 else "L", (w, h), bytes(out))


FITS = {
    "stretch": lambda im, size: im.resize(size, Image.BILINEAR),
    "letterbox": lambda im, size: ImageOps.pad(im, size, Image.BILINEAR),
    "centercrop": lambda im, size: ImageOps.fit(im, size, Image.BILINEAR),
}

for w, h, tw, th in CASES:
    for channels in (1, 3):
        source = noise(w, h, channels)
        for name, fit in FITS.items():
            if name == "letterbox" and min(w, h) * max(tw, th) < max(w, h) / 2:
                continue  # Pillow makes a picture of no pixels, we make one of 1
            got = fit(source, (tw, th)).convert("RGB").tobytes()
            sys.stdout.write(f"{w},{h},{channels},{tw},{th},{name},{zlib.crc32(got):08x}\n")
