"""The one definition of preprocessing, shared by training, calibration, export and evaluation; Go's camera/pixel
repeats it.

1. decode (libjpeg through Pillow), apply the EXIF orientation, drop alpha, 8-bit RGB
2. squash the whole frame to WxH with Pillow's BILINEAR: a triangle filter whose support grows as the frame shrinks,
   horizontal pass first, rounded to 8 bit after each pass
3. y = (x/255 - mean) / std, float32, planes in the order R, G, B
"""
import numpy as np
from PIL import Image, ImageOps

# EfficientNet-Lite's own normalisation, (x - 127) / 128, on the 0..1 scale.
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright 8-bit RGB; alpha is dropped, 16-bit grey keeps its high byte."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image.convert("RGB")


def resize(image: Image.Image, width: int, height: int) -> Image.Image:
    """The whole frame squashed to width x height."""
    return image.resize((width, height), Image.Resampling.BILINEAR)


def pixels(path, width: int, height: int) -> np.ndarray:
    """uint8 [H,W,3] of the image file at path."""
    with Image.open(path) as image:
        return np.asarray(resize(to_rgb(image), width, height))


def normalise(rgb: np.ndarray) -> np.ndarray:
    """uint8 [...,H,W,3] -> float32 [...,3,H,W]."""
    x = (rgb.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(np.moveaxis(x, -1, -3))
