"""Makes small pictures and what Pillow (libjpeg-turbo) decodes them to.

    pip install pillow && python3 make.py
"""

import random

from PIL import Image

random.seed(2)


def picture(w, h):
    small = Image.new("RGB", (max(2, w // 5), max(2, h // 5)))
    small.putdata([tuple(random.randrange(256) for _ in range(3)) for _ in range(small.width * small.height)])
    return small.resize((w, h), Image.BICUBIC)


def save(name, image, **options):
    image.save(name + ".jpg", **options)
    Image.open(name + ".jpg").convert("RGB").save(name + ".png")


for chroma in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
    for w, h in ((33, 17), (4, 4), (6, 5)):
        save(f"rgb_{chroma.replace(':', '')}_{w}x{h}", picture(w, h), quality=95, subsampling=chroma)
save("progressive_420_21x19", picture(21, 19), quality=95, subsampling=2, progressive=True)
save("grey_9x11", picture(9, 11).convert("L"), quality=95)
save("cmyk_13x7", picture(13, 7).convert("CMYK"), quality=95)
