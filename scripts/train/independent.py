"""Photographs that no model was trained or validated on, from freely licensed packages: wallpapers of Debian
(landscapes, sunsets, autumn leaves, flowers, rooms) and the pictures that scikit-image brings. None shows a fire, so
every alarm is a false one.

They were chosen by eye for being photographs and no drawings; drawn and rendered ones are left out. Needs
apt-get, dpkg-deb and pip; the packages' own copyright files name each author (GPL-2+, CC BY 4.0, CC BY-SA 4.0, CC0).
Nothing of them is kept but what is counted.
"""

import argparse
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from PIL import Image

import preprocess

HERE = Path(__file__).resolve().parent
PHOTOGRAPHS = {
    "lomiri-wallpapers-16.04": """Bridge_by_Sander_Klootwijk Dragonfly_by_Bolly Picture_0B_by_freespace
        Picture_1A_by_freespace Wine_by_Jakkub_Mede aitzgorri_by_Aitzol_Berasategi free_by_Peter_Nerlich
        friends_by_Aitzol_Berasategi greentock_by_Peter_Nerlich life_by_Aitzol_Berasategi
        picosdeeuropa_by_Aitzol_Berasategi seeding_by_Clements_Engelhardt sunset_by_Aitzol_Berasategi""",
    "lomiri-wallpapers-20.04": "Kleiber_by_Lukas_Baubkus",
    "mate-backgrounds": """Aqua Blinds Dune FreshFlower Garden GreenMeadow LadyBird RainDrops Storm TwoWings Wood
        YellowFlower""",
    "plasma-workspace-wallpapers": """BytheWater ColdRipple ColorfulCups DarkestHour EveningGlow FallenLeaf Grey Kite
        OneStandsOut Path summer_1am""",
    "scikit-image": "astronaut brick chelsea coffee coins grass gravel motorcycle_left",
}
SHORT = 480  # pixels of the shorter side, about that of the validation photographs' originals


def fetch(package, folder: Path):
    """Unpack a package into folder/package, unless it lies there."""
    out = folder / package
    if out.exists():
        return out
    folder.mkdir(parents=True, exist_ok=True)
    if package == "scikit-image":
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "scikit-image"]
        subprocess.run(pip, cwd=folder, check=True)
        zipfile.ZipFile(next(folder.glob("scikit_image*.whl"))).extractall(out)
        return out
    subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["dpkg-deb", "-x", next(folder.glob(f"{package}_*.deb")), out], check=True)
    return out


def find(root: Path, name) -> Path:
    """The largest picture that is called name or lies in a folder of that name."""
    named = [p for p in root.rglob("*") if p.suffix in (".jpg", ".png") and (p.stem == name or name in p.parts)]
    real = [p for p in named if p.is_file() and not p.is_symlink()]
    if not real:
        raise SystemExit(f"look for {name} below {root}: not there; this release of the package differs")
    return max(real, key=lambda p: p.stat().st_size)


def collect(folder: Path, out: Path) -> int:
    """Write all photographs as PNG files with SHORT pixels on the shorter side to out/nofire; returns their number."""
    (out / "nofire").mkdir(parents=True, exist_ok=True)
    for package, names in PHOTOGRAPHS.items():
        root = fetch(package, folder)
        for name in names.split():
            with Image.open(find(root, name)) as image:
                scale = SHORT / min(image.size)
                size = [round(side * scale) for side in image.size]
                small = preprocess.to_rgb(image).resize(size, Image.Resampling.LANCZOS)
                small.save(out / "nofire" / f"{package}_{name}.png")
    return len(list((out / "nofire").iterdir()))


def alarms(program, model, precision, folder: Path) -> dict:
    """False alarms of one model through `emberwing eval`, with the interval that it prints."""
    line = [program, "eval", "--json", "--provider", "cpu", "--model", model, "--precision", precision]
    if model == "gesture":
        done = subprocess.run([*line, "--empty", folder / "nofire"], capture_output=True, text=True, check=True)
        quiet = json.loads(done.stdout.splitlines()[0])["quiet"]
        low, high = quiet["interval_95"]["low"], quiet["interval_95"]["high"]
        return dict(
            of=quiet["of"], share=round(1 - quiet["share"], 4), interval=[round(1 - high, 4), round(1 - low, 4)]
        )
    done = subprocess.run([*line, folder], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout.splitlines()[0])
    ends = report["alarm"]["false_alarm_interval_95"]
    share = report["alarm"]["false_alarm_rate"]
    return dict(of=report["images"], share=round(share, 4), interval=[round(ends["low"], 4), round(ends["high"], 4)])


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train independent",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train independent --work runs/independent --emberwing bin/emberwing",
    )
    p.add_argument("--work", type=Path, required=True, help="folder for packages and photographs")
    p.add_argument("--emberwing", default="bin/emberwing", help="the program (default bin/emberwing)")
    p.add_argument("--out", type=Path, default=HERE / "reports/independent.json")
    args = p.parse_args(argv)
    count, report = collect(args.work / "packages", args.work / "photographs"), {}
    print(f"{count} photographs in {args.work / 'photographs'}", flush=True)
    for model in ("fire", "fire-nano", "gesture"):
        for precision in ("fp32", "int8"):
            row = alarms(args.emberwing, model, precision, args.work / "photographs")
            report[f"{model} {precision}"] = dict(model=model, hits=round(row["share"] * row["of"]), **row)
            print(model, precision, json.dumps(report[f"{model} {precision}"]), flush=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
