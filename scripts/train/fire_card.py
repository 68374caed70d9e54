"""Fill the measured part of the fire family's model cards from the reports, so that no figure is copied by hand.

Between the lines `<!-- measured -->` and `<!-- end -->` of infer/models/<name>/MODEL_CARD.md the tables are written anew from
scripts/train/reports/{trust,gate,mix,loso,front,seg}.json.
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
        ("label flips, one pixel", lambda r: percent(r["shift"]["label_flips"], 2) if "shift" in r else "-"),
        ("alarm flips, one pixel", lambda r: percent(r["shift"]["alarm_flips"], 2) if "shift" in r else "-"),
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
    body = []
    for source, r in report.items():
        for key in ("alarm_recall", "false_alarms"):
            if key in r["seen"]:
                body.append(
                    [
                        source,
                        key.replace("_", " "),
                        str(r["seen"][key]["of"]),
                        cell(r["left_out"][key]),
                        cell(r["seen"][key]),
                    ]
                )
    return table(["source", "at p ≥ 0.5", "n", "left out, %", "seen, %"], body)


def front(report):
    body = [
        [
            r["architecture"],
            str(r["size"]),
            f"{r['parameters']:,}",
            percent(r["best_alarm"]),
            percent(r["recall_at_2"]),
            str(r["int8"]["best_tenth_ms"]),
            str(r["fp32"]["best_tenth_ms"]),
        ]
        for r in report
    ]
    head = [
        "architecture",
        "input",
        "parameters",
        "alarm accuracy, %",
        "recall at 2 % false alarms, %",
        "INT8 ms",
        "FP32 ms",
    ]
    return table(head, body)


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
    if "outliers" in rows[1]:
        parts += ["Out of distribution (d² of the INT8 CPU variant):", outliers(rows[1])]
    extra = {
        "fire": [
            ("Sources left out of training (`fire-nano`, short runs):", loso, "loso"),
            (
                "Architectures and sizes (shipped weights, trained at 224, 176 and 96 only; INT8 with 30 pictures; one thread, best tenth of 60 runs):",
                front,
                "front",
            ),
            ("Mixed with `fire-nano`:", mixing, "mix"),
        ],
        "fire-gate": [("As a gate before `fire` (INT8 both):", gate, "gate")],
    }
    for title, make, key in extra.get(name, []):
        if key in reports:
            parts += [title, make(reports[key])]
    return "\n\n".join(parts)


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
    for name in ("fire", "fire-nano", "fire-gate", "fire-seg"):
        card = args.models / name / "MODEL_CARD.md"
        before, rest = card.read_text().split("<!-- measured -->")
        _, after = rest.split("<!-- end -->")
        card.write_text(f"{before}<!-- measured -->\n{measured(name, reports)}\n<!-- end -->{after}")
        print(card)


if __name__ == "__main__":
    main()
