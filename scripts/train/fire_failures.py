"""Pictures that `fire` gets wrong and that may be shown: of sources whose licence is stated and allows it. At most
six, the surest mistakes first, with who made them, written to infer/models/fire/failures."""

import argparse
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

import fire_export
import fire_report
import photos
import preprocess

MODELS = Path(__file__).resolve().parents[2] / "infer/models"
SHOWN = {  # source: licence and credit
    "palmaerial": "CC BY 4.0, palm plantations from the air, changed (made smaller)",
    "forestfire_rf": "CC BY 4.0, forest fire data set of Roboflow Universe, changed (made smaller)",
    "odm_seneca": "CC0 1.0, OpenDroneMap sample flight over Seneca",
    "odm_brighton": "BSD-2-Clause, OpenDroneMap sample flight over Brighton Beach",
    "flare_rf": "CC BY 4.0, gas flare data set of Roboflow Universe, changed (made smaller)",
}
SIDE, LARGEST = 256, 40_000  # pixels of the longer side, bytes


def mistakes(model, variant, store) -> list:
    """(score, row) of photographs on the wrong side of the threshold, the surest first, misses and false alarms in
    turn."""
    rows = [i for i, source in enumerate(store.sources) if source in SHOWN]
    z, _ = model.run(variant, [store.rows[i]["path"] for i in rows])
    score, due = fire_report.answers(z, variant)[1], fire_export.truth_of(store)[rows] > 0
    wrong = np.flatnonzero((score >= variant["threshold"]) != due)
    order = sorted(wrong, key=lambda i: score[i] if due[i] else -score[i])
    missed, falsely = [i for i in order if due[i]], [i for i in order if not due[i]]
    turns = [pair for pair in zip_longest(missed, falsely) for pair in pair if pair is not None]
    return [(float(score[i]), store.rows[rows[i]]) for i in turns]


def zip_longest(a, b):
    """Pairs of two lists; None where one has ended."""
    return [(a[i] if i < len(a) else None, b[i] if i < len(b) else None) for i in range(max(len(a), len(b)))]


def small(path) -> bytes:
    """A JPEG of at most LARGEST bytes."""
    with Image.open(path) as image:
        rgb = preprocess.to_rgb(image)
    rgb.thumbnail((SIDE, SIDE))
    for quality in (80, 65, 50, 35):
        blob = io.BytesIO()
        rgb.save(blob, "JPEG", quality=quality, optimize=True)
        if blob.tell() <= LARGEST:
            break
    return blob.getvalue()


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train failures", description=__doc__, epilog="example: train failures --data ~/data --cache runs/cache"
    )
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--model", type=Path, default=MODELS / "fire")
    p.add_argument("--most", type=int, default=6)
    args = p.parse_args(argv)
    model, out = fire_report.Model(args.model), args.model / "failures"
    variant = model.variant("int8", "cpu")
    found = [
        x for split in ("val", "train") for x in mistakes(model, variant, photos.fire(args.data, args.cache, split))
    ]
    out.mkdir(exist_ok=True)
    for old in out.glob("*.jpg"):
        old.unlink()
    listing = []
    for n, (score, row) in enumerate(found[: args.most]):
        name = f"{n + 1}-{row['label']}.jpg"
        (out / name).write_bytes(small(row["path"]))
        split = Path(row["path"]).parent.parent.name
        listing.append(
            dict(file=name, truth=row["label"], score=round(score, 3), threshold=variant["threshold"], split=split)
            | dict(source=row["source"], photograph=Path(row["path"]).name, licence=SHOWN[row["source"]])
        )
        print(json.dumps(listing[-1]))
    (out / "failures.json").write_text(json.dumps(listing, indent=1) + "\n")


if __name__ == "__main__":
    main()
