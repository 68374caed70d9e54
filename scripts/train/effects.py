"""Building blocks of made-up pictures. Every function takes the sample's generator; pictures are float32 [S,S,3],
0..255."""

import io

import numpy as np
from PIL import Image, ImageFilter

BILINEAR = Image.Resampling.BILINEAR


def scale(x, size, how=Image.Resampling.BICUBIC) -> np.ndarray:
    """A float map [h,w] resized to [size,size]."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(x, np.float32)).resize((size, size), how))


def blur(x, radius) -> np.ndarray:
    """A map [S,S] of 0..1 blurred by a Gaussian of this radius in pixels."""
    image = Image.fromarray((x.clip(0, 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image).astype(np.float32) / 255


class Noise:
    """A bank of fractal noise textures, made once: drawing a crop of one is far cheaper than making one."""

    def __init__(self, seed=5, count=24, side=384, octaves=7):
        rng = np.random.default_rng(seed)
        self.bank = np.stack([self.texture(rng, side, octaves) for _ in range(count)])

    @staticmethod
    def texture(rng, side, octaves):
        roughness = rng.uniform(1.5, 2.1)
        total = sum(scale(rng.random((3 * 2**o, 3 * 2**o), np.float32), side) / roughness**o for o in range(octaves))
        total -= total.min()
        return (total / total.max()).astype(np.float32)

    def draw(self, rng, size, zoom=None):
        """float32 [size,size], about 0..1; zoom is the share of a texture's side that is shown."""
        texture = self.bank[rng.integers(len(self.bank))]
        side = len(texture)
        part = max(8, int(side * (zoom or rng.uniform(0.3, 1.0))))
        y, x = rng.integers(0, side - part + 1, 2)
        crop = texture[y : y + part, x : x + part][:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        return scale(crop, size, BILINEAR)


def over(background, colour, alpha) -> np.ndarray:
    """colour (broadcastable to [S,S,3]) over background with opacity alpha [S,S]."""
    a = alpha[..., None]
    return background * (1 - a) + colour * a


# --- smoke ----------------------------------------------------------------------------------------------------------


def plume(rng, noise, size, x0, y0, lean, height, root, spread, density):
    """Opacity of one column of smoke from (x0, y0), coordinates 0..1, that widens and leans with the wind."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j].astype(np.float32)
    swirl = (noise.draw(rng, size) - 0.5) * 0.35
    rise = np.clip((y0 - y) / height, 0, 1.5)
    centre = x0 + lean * rise ** rng.uniform(1, 2) + swirl * rise * height
    body = (
        np.exp(-(((x - centre) / (root + spread * rise)) ** 2))
        * (y < y0 + root * 0.5)
        * np.clip(1.5 - rise, 0, 0.5)
        * 2
    )
    billows = np.clip((noise.draw(rng, size, rng.uniform(0.4, 1)) - rng.uniform(0.1, 0.45)) * rng.uniform(2, 4), 0, 1)
    return np.clip(body * billows * density * (1.15 - rng.uniform(0.2, 0.9) * np.minimum(rise, 1)), 0, 1)


def column(rng, noise, size):
    """One large column."""
    return plume(
        rng,
        noise,
        size,
        rng.uniform(0.1, 0.9),
        rng.uniform(0.4, 1),
        rng.uniform(-0.8, 0.8),
        rng.uniform(0.35, 1.2),
        rng.uniform(0.01, 0.06),
        rng.uniform(0.05, 0.5),
        1,
    )


def distant(rng, noise, size):
    """A small column far away, as a lookout camera sees it: 6..25 % of the frame's height."""
    height = rng.uniform(0.06, 0.25)
    return plume(
        rng,
        noise,
        size,
        rng.uniform(0.05, 0.95),
        rng.uniform(0.3, 0.85),
        rng.uniform(-1.2, 1.2) * height,
        height,
        rng.uniform(0.004, 0.015),
        height * rng.uniform(0.15, 0.5),
        rng.uniform(1.0, 1.6),
    )


def wisps(rng, noise, size):
    """Smoke that rises from several places and drifts with one wind."""
    count, lean, height = rng.integers(3, 9), rng.uniform(-0.7, 0.7), rng.uniform(0.2, 0.7)
    cx, cy, sx, sy = rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.95), rng.uniform(0.05, 0.45), rng.uniform(0.01, 0.15)
    clear = np.ones((size, size), np.float32)
    for _ in range(count):
        h = height * rng.uniform(0.4, 1.2)
        clear *= 1 - plume(
            rng,
            noise,
            size,
            rng.normal(cx, sx),
            rng.normal(cy, sy),
            lean * rng.uniform(0.6, 1.3),
            h,
            rng.uniform(0.004, 0.03),
            h * rng.uniform(0.08, 0.5),
            rng.uniform(0.4, 1),
        )
    return 1 - clear


def bank(rng, noise, size):
    """A wall of smoke along the horizon or before the trees."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    base, top = rng.uniform(0.4, 1.0), rng.uniform(0.1, 0.8)
    edge = (noise.draw(rng, size, rng.uniform(0.3, 0.9)) - 0.5) * rng.uniform(0.3, 0.8)
    inside = np.clip((base - y) * 12, 0, 1) * np.clip((y - (base - top) + edge) * rng.uniform(3, 12), 0, 1)
    return inside * np.clip(noise.draw(rng, size) * 2.2 - rng.uniform(0, 0.5), 0, 1)


# --- light and sky --------------------------------------------------------------------------------------------------


def glow(rng, size, x, y, radius):
    """A soft disk, 1 in the middle, of this radius (share of the frame)."""
    v, u = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j].astype(np.float32)
    return np.exp(-((((u - x) ** 2 + (v - y) ** 2) / radius**2) ** rng.uniform(0.5, 1.5)))


def sunset(rng, scene):
    """Evening light: the upper part takes orange or red, the rest darkens; often the sun itself."""
    size = len(scene)
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    horizon = rng.uniform(0.3, 1.0)
    low, high = (
        np.array([255, rng.uniform(90, 190), rng.uniform(10, 90)]),
        np.array([rng.uniform(60, 230), rng.uniform(40, 140), rng.uniform(40, 160)]),
    )
    t = np.clip(y / horizon, 0, 1)[..., None]
    sky = high * (1 - t) + low * t
    weight = np.clip((horizon - y) * rng.uniform(2, 10), 0, 1) * rng.uniform(0.3, 0.8) + np.zeros(
        (size, size), np.float32
    )
    out = over(scene * rng.uniform(0.3, 0.95), sky, weight)
    if rng.random() < 0.5:
        sun = glow(rng, size, rng.random(), horizon * rng.uniform(0.5, 1), rng.uniform(0.01, 0.12))
        out = over(out, np.array([255, 245, rng.uniform(120, 230)]), sun)
    return out


def flare(rng, scene):
    """Lens flare: a glare and a line of ghosts through the picture's middle."""
    size = len(scene)
    x, y = rng.random(2)
    out = scene + glow(rng, size, x, y, rng.uniform(0.02, 0.25))[..., None] * rng.uniform(80, 255) * rng.uniform(
        [1, 0.85, 0.6], 1
    )
    for t in rng.uniform(0.3, 1.8, rng.integers(1, 5)):
        colour = rng.uniform(0, 80, 3)
        out = (
            out
            + (glow(rng, size, x + (0.5 - x) * t, y + (0.5 - y) * t, rng.uniform(0.01, 0.08))[..., None] > 0.4) * colour
        )
    return out


def lamps(rng, scene):
    """A darkened picture with street or car lights, windows and neon."""
    out = scene * rng.uniform(0.1, 0.6)
    for _ in range(rng.integers(1, 9)):
        colour = (
            np.array([255, rng.uniform(140, 255), rng.uniform(30, 240)])
            if rng.random() < 0.8
            else rng.uniform(60, 255, 3)
        )
        out = over(out, colour, glow(rng, len(scene), *rng.random(2), rng.uniform(0.005, 0.05)) * rng.uniform(0.5, 1))
    return out


def autumn(rng, scene):
    """Green leaves turn yellow, orange or red."""
    r, g, b = np.moveaxis(scene, -1, 0)
    green = np.clip((g - np.maximum(r, b) + 12) / 30, 0, 1) * rng.uniform(0.5, 1)
    target = g[..., None] * rng.uniform([1.05, 0.45, 0.1], [1.5, 1.0, 0.4])
    return over(scene, target, green)


def burnt(rng, scene):
    """Burnt woodland: little colour, dark ground, ash."""
    grey = scene.mean(-1, keepdims=True)
    dull = grey + (scene - grey) * rng.uniform(0, 0.5)
    return (dull - 128) * rng.uniform(1, 1.5) + 128 * rng.uniform(0.5, 1.0) * rng.uniform([1, 0.95, 0.85], 1.05)


def fog(rng, scene):
    """Even haze, thicker towards the horizon or overall: no structure, no source."""
    size = len(scene)
    y = np.linspace(-1, 1, size, dtype=np.float32)[:, None] + np.zeros((size, size), np.float32)
    thick = rng.uniform(0.2, 0.8) * np.exp(-(((y - rng.uniform(-1, 1)) / rng.uniform(0.3, 2)) ** 2))
    return over(scene, rng.uniform(150, 250) * rng.uniform(0.93, 1.03, 3), thick)


def things(rng, scene):
    """Red, orange and yellow objects from a speck to a third of the frame: cars, tents, vests, roofs, signs, kites,
    flowers, single leaves. Without them every small warm spot would mean fire."""
    size, out = len(scene), scene
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j].astype(np.float32)
    for _ in range(rng.integers(1, 5)):
        cx, cy, w = *rng.random(2), 0.008 * (0.3 / 0.008) ** rng.random()
        h, power, angle = w * rng.uniform(0.3, 1.5), rng.choice([1, 2, 4, 20]), rng.uniform(-0.8, 0.8)
        u, v = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        petals = 1 + rng.uniform(0, 0.6) * np.cos(rng.integers(2, 9) * np.arctan2(v, u)) if rng.random() < 0.3 else 1
        far = (np.abs(u / w) ** power + np.abs(v / h) ** power) ** (1 / power)
        inside = np.clip((petals - far) * rng.choice([4, 15, 80]), 0, 1)
        red = np.array([rng.uniform(150, 255), rng.uniform(10, 190), rng.uniform(0, 90)])
        shade = 1 + rng.uniform(-0.6, 0.6) * np.clip(v / h, -1, 1) + rng.normal(0, 0.03, v.shape)
        out = over(out, red * shade[..., None].clip(0.2, 1.4), inside)
    return out


# --- the camera -----------------------------------------------------------------------------------------------------


def motion(rng, x, most=9) -> np.ndarray:
    """Motion blur along a random direction, up to `most` pixels long."""
    length, angle = rng.uniform(2, most), rng.uniform(0, np.pi)
    steps = int(np.ceil(length))
    total = np.zeros_like(x)
    for t in np.linspace(-0.5, 0.5, steps):
        total += np.roll(x, (round(t * length * np.sin(angle)), round(t * length * np.cos(angle))), (0, 1))
    return total / steps


def jpeg(rng, x, low=25, high=95) -> np.ndarray:
    """x after JPEG compression; takes and returns uint8."""
    buffer = io.BytesIO()
    Image.fromarray(x).save(buffer, "JPEG", quality=int(rng.integers(low, high)), subsampling=int(rng.choice([0, 2])))
    return np.asarray(Image.open(buffer))


def tone(rng, x) -> np.ndarray:
    """Exposure, contrast, gamma, saturation and white balance; x 0..1."""
    x = np.clip((x - 0.5) * rng.uniform(0.65, 1.35) + 0.5 + rng.uniform(-0.18, 0.18), 0, 1) ** np.float32(
        np.exp(rng.uniform(-0.4, 0.4))
    )
    grey = x.mean(2, keepdims=True)
    return (grey + (x - grey) * np.float32(rng.uniform(0.4, 1.4))) * rng.uniform(0.92, 1.08, 3).astype(np.float32)


def camera(rng, rgb, size) -> np.ndarray:
    """What a flying camera does to a picture: optics, light, blur, noise, compression. uint8 [size,size,3]."""
    image = Image.fromarray(rgb).resize((size, size), BILINEAR)
    if rng.random() < 0.12:  # a low-resolution sensor or a far object
        small = int(size * rng.uniform(0.3, 0.8))
        image = image.resize((small, small), BILINEAR).resize((size, size), BILINEAR)
    elif rng.random() < 0.12:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    x = np.asarray(image).astype(np.float32) / 255
    if rng.random() < 0.15:
        x = motion(rng, x)
    if rng.random() < 0.8:
        x = tone(rng, x)
    if rng.random() < 0.12:
        haze = rng.uniform(0, 0.4)
        x = x * (1 - haze) + haze * rng.uniform(0.55, 0.95)
    if rng.random() < 0.25:
        x = x + rng.standard_normal(x.shape, np.float32) * rng.uniform(0.005, 0.05)
    x = (x.clip(0, 1) * 255).round().astype(np.uint8)
    return jpeg(rng, x) if rng.random() < 0.5 else x
