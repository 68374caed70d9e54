"""Computes the vectors that calib and qdq are tested against, with numpy alone: python3 vectors.py > vectors.json

Written from the definitions, not from the Go code: percentiles and squared errors walk over bins one by one, and the
entropy is that of NVIDIA's pytorch-quantization (histogram of magnitudes, zero bin replaced by its neighbour, 128 levels,
thresholds from 128 bins on, the last of equal minima), in its plain quadratic form.
"""
import json

import numpy as np

BINS, LEVELS = 2048, 128
rng = np.random.default_rng(4)


def histogram(x):
    top = np.abs(x).max()
    if x.min() >= 0:
        return 0.0, float(top), np.histogram(x, BINS, (0, top))[0]
    return -float(top), float(top), np.histogram(x, 2 * BINS, (-top, top))[0]


def magnitudes(lo, counts):
    return counts if lo == 0 else counts[BINS:] + counts[:BINS][::-1]


def entropy(hi, counts):
    counts = counts.astype(np.float64).copy()
    counts[0] = counts[1]
    best, at = np.inf, None
    for n in range(LEVELS, BINS + 1):
        p = counts[:n].copy()
        p[-1] += counts[n:].sum()
        level = np.arange(n) * LEVELS // n
        filled = counts[:n] > 0
        q = np.zeros(n)
        for l in range(LEVELS):
            here = (level == l) & filled
            if here.any():
                q[here] = counts[:n][here].sum() / here.sum()
        if p[-1] > 0 and q[-1] == 0:
            continue
        p, q = p / p.sum(), q / q.sum()
        some = p > 0
        d = float((p[some] * np.log(p[some] / q[some])).sum())
        if d <= best + 1e-12:
            best, at = min(d, best), n
    return hi / BINS * at


def percentile(lo, hi, counts, percent, symmetric):
    """Smallest range of whole bins that leaves at most the given share outside."""
    if symmetric or lo == 0:
        m = magnitudes(lo, counts)
        n = next(k for k in range(1, BINS + 1) if m[k:].sum() <= (1 - percent / 100) * m.sum())
        return [-hi / BINS * n, hi / BINS * n]
    share, width = (1 - percent / 100) / 2 * counts.sum(), (hi - lo) / len(counts)
    up = next(k for k in range(1, len(counts) + 1) if counts[k:].sum() <= share)
    down = max(k for k in range(len(counts)) if counts[:k].sum() <= share)
    return [lo + width * down, lo + width * up]


def squared_error(lo, hi, counts, a, b, symmetric, levels):
    if symmetric:
        b = max(-a, b)
        a = -b
    scale = (b - a) / (levels - 1)
    centers = lo + (np.arange(len(counts)) + 0.5) * (hi - lo) / len(counts)
    bottom = np.round(a / scale)
    q = np.clip(np.floor(centers / scale + 0.5), bottom, bottom + levels - 1)
    return float((counts * (centers - q * scale) ** 2).sum())


def quantize(x, scale, zero, lo, hi):
    x = np.asarray(x, np.float32)
    return np.clip(np.rint(x / np.float32(scale)).astype(np.float64) + zero, lo, hi).astype(int)


tensors = {
    "normal": rng.normal(0, 1, 20000),
    "skewed": np.concatenate([rng.normal(2, 1, 15000), rng.normal(-0.3, 0.1, 5000)]),
    "relu": np.maximum(rng.normal(0, 1, 20000), 0),
    "outlier": np.append(rng.normal(0, 0.1, 20000), [50.0]),
    "negative": -np.abs(rng.normal(3, 1, 20000)),
}
out = {"tensors": [], "quantize": []}
for name, x in tensors.items():
    x = x.astype(np.float32).astype(np.float64)
    lo, hi, counts = histogram(x)
    ranges = {f"percentile {p} {s}": percentile(lo, hi, counts, p, s) for p in (99.0, 99.9) for s in (False, True)}
    errors = [[a, b, s, n, squared_error(lo, hi, counts, a, b, s, n)]
              for a, b in ((x.min(), x.max()), (x.min() / 2, x.max() / 3)) for s, n in ((False, 256), (True, 255))
              if min(a, 0) < max(b, 0)]
    for e in errors:
        e[0], e[1] = min(float(e[0]), 0.0), max(float(e[1]), 0.0)
        e[4] = squared_error(lo, hi, counts, e[0], e[1], e[2], e[3])
    used = np.flatnonzero(counts)
    out["tensors"].append(dict(name=name, min=float(x.min()), max=float(x.max()), lo=lo, hi=hi, bins=len(counts),
                               at=used.tolist(), count=counts[used].tolist(), entropy=entropy(hi, magnitudes(lo, counts)),
                               percentile=ranges, squared_error=errors))
for lo, hi, typ, symmetric in ((-1.5, 6, "uint8", False), (0, 6, "uint8", False), (-3, -1, "int8", False), (2, 7, "uint8", False),
                               (-2.54, 1, "int8", True), (-0.001, 0.001, "int8", True)):
    a, b = min(lo, 0.0), max(hi, 0.0)
    bottom, top = (0, 255) if typ == "uint8" else (-128, 127)
    if symmetric:
        scale, zero = np.float32(max(-a, b) / 127), 0
    else:
        scale = (b - a) / 255
        zero, scale = int(np.rint(bottom - a / scale)), np.float32(scale)
    x = np.concatenate([rng.uniform(1.2 * a - 0.1, 1.2 * b + 0.1, 20), (np.arange(-4, 5) + 0.5) * scale]).astype(np.float32)
    q = quantize(x, scale, zero, bottom, top)
    out["quantize"].append(dict(lo=lo, hi=hi, type=typ, symmetric=symmetric, scale=float(scale), zero=zero,
                                x=[float(v) for v in x], q=q.tolist()))
print(json.dumps(out, separators=(",", ":")))
