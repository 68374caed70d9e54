"""Figures of the reports as SVG."""

import math

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 420, 60, 50
COLOURS = ["#c0392b", "#2471a3", "#1e8449", "#7d3c98", "#b9770e"]
FONT = 'font-family="sans-serif" font-size="12"'


def front(rows) -> str:
    """Alarm recall at 2 % false alarms against INT8 milliseconds; one colour for each architecture, hollow: from
    ImageNet."""
    spots = [(r["int8"]["best_tenth_ms"], 100 * r["int8"]["recall_at_2"], r) for r in rows]
    low = math.floor(min(y for _, y, _ in spots) / 5) * 5
    fastest, slowest = min(x for x, _, _ in spots) * 0.8, max(x for x, _, _ in spots) * 1.25
    across = lambda x: LEFT + (WIDTH - LEFT - 20) * math.log(x / fastest) / math.log(slowest / fastest)
    up = lambda y: 20 + (HEIGHT - BOTTOM - 20) * (100 - y) / (100 - low)
    names = list(dict.fromkeys(r["architecture"] for r in rows))
    parts = axes(across, up, fastest, slowest, low)
    for x, y, row in spots:
        parts.append(spot(across(x), up(y), COLOURS[names.index(row["architecture"]) % len(COLOURS)], row))
    for i, name in enumerate(names):
        parts.append(text(WIDTH - 150, HEIGHT - BOTTOM - 20 - 16 * i, name, f'fill="{COLOURS[i % len(COLOURS)]}"'))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>Alarm recall against latency</title>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def axes(across, up, fastest, slowest, low) -> list:
    """Grid lines with their figures, and what the axes show."""
    parts = []
    for y in range(low, 101, 5):
        parts += [line(LEFT, up(y), WIDTH - 20, up(y)), text(LEFT - 34, up(y) + 4, f"{y}")]
    for x in (0.2, 0.5, 1, 2, 5, 10, 20):
        if fastest < x < slowest:
            parts += [line(across(x), 20, across(x), HEIGHT - BOTTOM)]
            parts += [text(across(x) - 8, HEIGHT - BOTTOM + 18, f"{x:g}")]
    parts.append(text(WIDTH / 2 - 120, HEIGHT - 10, "INT8, processor ms on one thread (best tenth), log scale"))
    parts.append(text(LEFT, 14, "alarm recall at 2 % false alarms, %; hollow: started from ImageNet"))
    return parts


def spot(x, y, colour, row) -> str:
    fill = colour if row["start"] == "shipped" else "white"
    mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
    return mark + text(x + 8, y + 4, row["size"])


def line(x0, y0, x1, y1) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="#dddddd"/>'


def text(x, y, words, more="") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT} {more}>{words}</text>'
