"""Fill the measured part of the fire family's model cards from the reports, so that no figure is copied by hand.

Between the lines `<!-- measured -->` and `<!-- end -->` of infer/models/<name>/MODEL_CARD.md the tables are written
anew from scripts/train/reports/*.json, and from the robustness reports in the models' folders.
"""

import argparse
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "infer/models"


def percent(x, digits=1):
    return f"{100 * x:.{digits}f}"


def cell(s):
    """`97.6 (96.1–98.5)` of a share with its interval."""
    low, high = s["interval"]
    return f"{percent(s['share'])} ({percent(low)}–{percent(high)})"


def flip(s):
    return f"{cell(s)} of {s['of']}"


def table(head, rows):
    return "\n".join(["| " + " | ".join(r) + " |" for r in (head, ["---"] * len(head), *rows)])


def accuracy(rows):
    """One column for each variant."""
    lines = [
        ("accuracy, three labels", lambda r: cell(r["labels"])),
        ("recall nofire", lambda r: cell(r["recall"]["nofire"])),
        (
            "recall smoke",
            lambda r: f"{cell(r['recall']['smoke'])}, {r['recall']['smoke']['hits']} of {r['recall']['smoke']['of']}",
        ),
        ("recall fire", lambda r: cell(r["recall"]["fire"])),
        ("**alarm accuracy**", lambda r: cell(r["alarm_accuracy"])),
        ("**alarm recall**", lambda r: cell(r["alarm_recall"])),
        ("smoke that alarms", lambda r: f"{r['smoke_alarm']['hits']} of {r['smoke_alarm']['of']}"),
        (
            "**false alarms**",
            lambda r: f"{cell(r['false_alarms'])}, {r['false_alarms']['hits']} of {r['false_alarms']['of']}",
        ),
        ("label as FP32", lambda r: cell(r["labels_as_fp32"]) if r["labels_as_fp32"] else "-"),
        ("calibration error, T = 1", lambda r: percent(r["calibration"]["before"])),
        ("calibration error, fitted T", lambda r: percent(r["calibration"]["after"])),
        ("… T fitted on the other half", lambda r: percent(r["calibration"]["after_crossed"])),
        ("label flips, one pixel", lambda r: flip(r["shift"]["label_flips"]) if "shift" in r else "-"),
        ("alarm flips, one pixel", lambda r: flip(r["shift"]["alarm_flips"]) if "shift" in r else "-"),
        ("bytes", lambda r: f"{r['bytes']:,}"),
    ]
    return table(["%", *(r["variant"] for r in rows)], [[name, *(f(r) for r in rows)] for name, f in lines])


def sources(rows):
    names = sorted({s for r in rows for s in r["sources"]})
    return table(
        ["alarm right, %", *(r["variant"] for r in rows)], [[s, *(cell(r["sources"][s]) for r in rows)] for s in names]
    )


def outliers(row):
    kinds = [k for k, v in row["outliers"].items() if isinstance(v, dict) and "auroc" in v]
    body = [
        [
            k,
            str(o["pictures"]),
            f"{o['auroc']:.3f}",
            cell(o["flagged"]),
            str(o["false_alarms"]),
            str(o["false_alarms_not_flagged"]),
        ]
        for k in kinds
        for o in [row["outliers"][k]]
    ]
    inside = cell(row["outliers"]["flagged_inside"])
    head = [
        "pictures",
        "n",
        "AUROC against validation",
        "flagged, %",
        "alarms",
        "alarms left when flagged ones are held",
    ]
    return f"Of the validation photographs {inside} % are flagged.\n\n" + table(head, body)


def gate(report):
    body = [
        [
            str(r["threshold"]),
            f"{cell(r['missed'])}, {r['missed']['hits']} of {r['missed']['of']}",
            cell(r["silenced"]),
            cell(r["alarms_lost"]),
        ]
        for r in report["rows"]
    ]
    return table(["threshold", "fires missed, %", "empty frames held back, %", "alarms of `fire` lost, %"], body)


def loso(report):
    """Left out beside seen, at three limits."""
    body = []
    for source, r in report.items():
        for limit, name in (
            (None, "p > 0.5"),
            ("limit_of_others", "5 % of other sources"),
            ("own_limit", "5 % of its own"),
        ):
            left, seen = (side if limit is None else side.get(limit, {}) for side in (r["left_out"], r["seen"]))
            for key in ("alarm_recall", "false_alarms"):
                if key in seen:
                    body.append(
                        [source, name, key.replace("_", " "), str(seen[key]["of"]), cell(left[key]), cell(seen[key])]
                    )
        if "auroc" in r["seen"]:
            body.append([source, "any", "AUROC", "", *(f"{100 * r[k]['auroc']:.1f}" for k in ("left_out", "seen"))])
    run = next(iter(report.values()))
    told = f"{run['steps']} steps at {run['size']}×{run['size']} from ImageNet's weights."
    return table(["source", "alarm at", "", "n", "left out, %", "seen, %"], body) + f"\n\n{told}"


def ranged(row, key):
    """`97.3 (94.2–98.8)` of a figure whose interval stands beside it."""
    low, high = row.get(f"{key}_interval", (row[key], row[key]))
    return f"{percent(row[key])} ({percent(low)}–{percent(high)})"


def front(report):
    body = [
        [
            r["architecture"],
            str(r["size"]),
            r["start"],
            f"{r['parameters']:,}",
            ranged(r["int8"], "best_alarm"),
            ranged(r["int8"], "recall_at_2"),
            percent(r["fp32"]["recall_at_2"]),
            str(r["int8"]["best_tenth_ms"]),
            str(r["fp32"]["best_tenth_ms"]),
        ]
        for r in report
    ]
    head = [
        "architecture",
        "input",
        "start",
        "parameters",
        "INT8: alarm accuracy, %",
        "INT8: recall at 2 % false alarms, %",
    ]
    return table([*head, "FP32: recall, %", "INT8 ms", "FP32 ms"], body)


def agree(report, name):
    """The worst difference of Python and Go for one model."""
    rows = [r for r in report if r["model"] == name]
    body = [
        [
            r["precision"],
            "from the JPEG files" if r["pixels"] == "jpeg" else "the same",
            *(
                f"{r['figures'][k][side]:.2f}"
                for k in ("accuracy", "alarm_recall", "false_alarm_rate")
                for side in ("python", "go")
            ),
            f"{r['worst_points']:.2f}",
        ]
        for r in rows
    ]
    head = [
        "precision",
        "pixels",
        "accuracy: Python, %",
        "Go",
        "alarm recall: Python",
        "Go",
        "false alarms: Python",
        "Go",
    ]
    return table([*head, "worst of all figures, points"], body)


def vote(report):
    body = [
        [
            name,
            cell_of_go(r["clean"]),
            *(cell_of_go(r[kind][what]) for kind in ("shifts", "motions") for what in ("label_flips", "alarm_flips")),
        ]
        for name, r in report.items()
    ]
    head = [
        "view",
        "alarm right, %",
        "label flips, one pixel, %",
        "alarm flips",
        "label flips, small motions",
        "alarm flips",
    ]
    return table(head, body)


def cell_of_go(s):
    """A share as `emberwing eval` prints it."""
    low, high = s["interval_95"]["low"], s["interval_95"]["high"]
    return f"{percent(s['share'])} ({percent(low)}–{percent(high)})"


def independent(report, name):
    body = [
        [key.removeprefix(name + " "), f"{cell(r)}, {r['hits']} of {r['of']}"]
        for key, r in report.items()
        if r["model"] == name
    ]
    return table(["precision", "false alarms, %"], body)


def robustness(files):
    """One line for each corruption: right answers at severities 1 to 5; then coarse pictures and motions."""
    parts = []
    for path in files:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        last, of = lines[-1], lambda kind: [r for r in lines if r["kind"] == kind]
        kinds = list(dict.fromkeys(r["corruption"] for r in of("corruption")))
        right = lambda rows: [percent(r["right"]["share"]) for r in rows]
        body = [[k, *right(r for r in of("corruption") if r["corruption"] == k)] for k in kinds]
        parts.append(f"`{path.name}`: {last['images']} photographs, as they are {cell_of_go(last['clean'])} % right.")
        parts.append(table(["right, %", *(f"severity {i}" for i in range(1, 6))], body))
        sides = of("resolution")
        rows = [["right, %", *right(sides)], ["WAR", *(f"{r['war']:.3f}" for r in sides)]]
        parts.append(table(["pixels of the shorter side", *(str(r["side"]) for r in sides)], rows))
        flips = [
            f"{name} {cell_of_go(last[kind]['label_flips'])}"
            for kind, name in (("shifts", "one pixel"), ("motions", "small motions"))
        ]
        parts.append("Label flips, %: " + "; ".join(flips) + ".")
    return "\n\n".join(parts)


def mixing(report):
    keep = ["own", "other", "mean", *(k for k in report["clean"] if k.startswith("bias -1"))]
    body = [
        [
            k,
            *(
                f"{percent(report[c][k][m])}"
                for c in ("clean", "spoilt")
                for m in ("alarm_accuracy", "alarm_recall", "false_alarms")
            ),
            f"{report['clean'][k]['nll']:.3f}",
            f"{report['spoilt'][k]['nll']:.3f}",
        ]
        for k in keep
    ]
    head = [
        "mix",
        "clean: accuracy",
        "recall",
        "false alarms",
        "spoilt: accuracy",
        "recall",
        "false alarms",
        "NLL clean",
        "NLL spoilt",
    ]
    return table(head, body)


def failures(listing):
    """The pictures that the model gets wrong, with score and credit."""
    body = [
        [
            f"![{r['truth']}](failures/{r['file']})",
            f"{r['truth']}, scored {r['score']:.2f} against {r['threshold']}",
            f"{r['source']} ({r['split']}), {r['photograph']}",
            r["licence"],
        ]
        for r in listing
    ]
    return table(["picture", "truth and alarm score", "source", "licence"], body)


def segmentation(report):
    body = [
        [
            file,
            f"{100 * r[c]['mean_iou']:.1f} ({percent(r[c]['interval'][0])}–{percent(r[c]['interval'][1])})",
            percent(r[c]["pooled_iou"]),
            c,
            str(r[c]["pictures"]),
        ]
        for file, r in report.items()
        for c in ("flame", "smoke")
    ]
    return table(["file", "mean IoU of the pictures, %", "IoU of all pixels, %", "class", "pictures"], body)


def measured(name, reports) -> str:
    """The generated part of one card."""
    if name == "fire-seg":
        return segmentation(reports["seg"])
    rows = [r for r in reports["trust"].values() if r["model"] == name]
    parts = [accuracy(rows), "By source of the photographs:", sources(rows)]
    for row in rows:
        if "outliers" in row:
            parts += [f"Out of distribution (d² of {row['variant']}):", outliers(row)]
    for title, make, key in [*SECTIONS.get(name, []), *SHARED]:
        if key in reports:
            parts += [title, make(reports[key], name) if make in (agree, independent) else make(reports[key])]
    return "\n\n".join(p for p in parts if p)


SECTIONS = {
    "fire": [
        ("Sources left out of training, a small network (`train loso`):", loso, "loso"),
        ("Sources left out of training, the network of `fire` (`train loso --arch fire`):", loso, "loso-fire"),
        (
            "Architectures and sizes (`train front`: equally short runs on the bank, from the shipped weights of the"
            " round before or from ImageNet's; INT8 with ranges of 40 pictures; processor time of one thread,"
            " best tenth of 200 runs, the machine loaded; [figure](front.svg)):",
            front,
            "front",
        ),
        (
            "Mixed with `fire-nano` (`train report mix`, INT8; spoilt: blur, haze, noise or darkness, and JPEG):",
            mixing,
            "mix",
        ),
        (
            "Voting over crops (`emberwing eval --robustness --parts motion --vote 1:0.1`, INT8, off in the manifest):",
            vote,
            "vote",
        ),
    ],
    "fire-gate": [("As a gate before `fire` (INT8 both):", gate, "gate")],
}
SHARED = [
    (
        "Python beside Go (`train evaluate MANIFEST --dir DIR --against bin/emberwing`; `--same-pixels`: one decoder):",
        agree,
        "agree",
    ),
    (
        "**Independent, small**: photographs of freely licensed packages, none with a fire (`train independent`):",
        independent,
        "independent",
    ),
]


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="train card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: train card",
    )
    p.add_argument("--reports", type=Path, default=HERE / "reports")
    p.add_argument("--models", type=Path, default=MODELS)
    args = p.parse_args(argv)
    reports = {f.stem: json.loads(f.read_text()) for f in args.reports.glob("*.json")}
    charts = sorted((args.models / "fire").glob("robustness-*.json"))
    for name in ("fire", "fire-nano", "fire-gate", "fire-seg"):
        card = args.models / name / "MODEL_CARD.md"
        before, rest = card.read_text().split("<!-- measured -->")
        _, after = rest.split("<!-- end -->")
        text = measured(name, reports)
        if name == "fire" and charts:
            text += "\n\nRobustness (`emberwing eval --robustness`, [figure](robustness-int8.svg)):\n\n"
            text += robustness(charts)
        listing = args.models / name / "failures/failures.json"
        if listing.exists():
            text += "\n\nMistakes of the INT8 file on photographs that may be shown (`train failures`):\n\n"
            text += failures(json.loads(listing.read_text()))
        card.write_text(f"{before}<!-- measured -->\n{text}\n<!-- end -->{after}")
        print(card)


if __name__ == "__main__":
    main()
