"""Statistics of a classifier's answers: intervals, calibration, the out-of-distribution score, and steadiness under
shifts."""

import numpy as np

import evaluate


def wilson(hits, count, z=1.96):
    """95 % interval of a share (Wilson 1927)."""
    if count == 0:
        return (0.0, 1.0)
    p, n = hits / count, count
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
    return round(max(0.0, float(low)), 4), round(min(1.0, float(high)), 4)


def share(hits) -> dict:
    """Count, total, share and interval of a boolean array."""
    k, n = int(np.sum(hits)), len(hits)
    return dict(hits=k, of=n, share=round(k / max(1, n), 4), interval=wilson(k, n))


def temperature(z, truth) -> float:
    """The T that minimises the negative log likelihood of softmax(z/T), by a fine scan (Guo et al. 2017,
    arXiv:1706.04599)."""
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 300))
    loss = [-np.log(evaluate.softmax(z, t)[np.arange(len(truth)), truth] + 1e-12).mean() for t in grid]
    return round(float(grid[int(np.argmin(loss))]), 4)


def prior(z, truth):
    """What to add to the logits so that softmax((z + b) / T) fits best, float32 [C]: made samples hold far more fires
    than photographs do, and this takes the difference back. Labels weigh by their count to the power of -0.6, so that a
    rare one is heard."""
    import torch

    counts = np.bincount(truth, minlength=z.shape[1])
    weight = torch.tensor(np.maximum(counts, 1.0) ** -0.6, dtype=torch.float32)
    z, truth = torch.from_numpy(z), torch.from_numpy(truth)
    bias, log_t = torch.zeros(z.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    search = torch.optim.LBFGS([bias, log_t], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        value = (
            torch.nn.functional.cross_entropy((z + bias) / log_t.exp(), truth, weight=weight)
            + 1e-3 * bias.square().sum()
        )
        value.backward()
        return value

    search.step(loss)
    return (bias - bias.mean()).detach().numpy()


def calibration(z, truth) -> dict:
    """Expected calibration error at T=1, at the fitted T, and at a T fitted on the other half of the photographs."""
    t, even = temperature(z, truth), np.arange(len(truth)) % 2 == 0
    crossed = np.zeros_like(z)
    for half in (even, ~even):
        crossed[half] = evaluate.softmax(z[half], temperature(z[~half], truth[~half]))
    error = lambda p: round(evaluate.calibration_error(p, truth), 4)
    return dict(
        temperature=t,
        before=error(evaluate.softmax(z)),
        after=error(evaluate.softmax(z, t)),
        after_crossed=error(crossed),
    )


def threshold(score, real, most=0.02) -> float:
    """The threshold with the best alarm accuracy plus recall among those with at most `most` false alarms: the
    middle of the best range."""
    grid = np.arange(0.05, 0.951, 0.001)
    raised = score[None] >= grid[:, None]
    worth = (raised == real).mean(1) + raised[:, real].mean(1)
    worth[raised[:, ~real].mean(1) > most] = -1
    best = np.flatnonzero(worth >= worth.max() - 1e-9)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    return round(float(grid[longest[len(longest) // 2]]), 3)


# --- out of distribution --------------------------------------------------------------------------------------------


def fit_gaussians(features, truth, labels=3, ridge=1e-3) -> dict:
    """Means of the labels and the Cholesky factor of the tied covariance's inverse (Lee et al. 2018,
    arXiv:1807.03888)."""
    means = np.stack([features[truth == c].mean(0) for c in range(labels)])
    centred = features - means[truth]
    cov = centred.T @ centred / len(features)
    cov += ridge * np.trace(cov) / len(cov) * np.eye(len(cov))
    return dict(means=means, factor=np.linalg.cholesky(np.linalg.inv(cov)))


def distance(features, gaussians) -> np.ndarray:
    """d² to the nearest mean, [N]."""
    gap = features[:, None] - gaussians["means"][None]
    return ((gap @ gaussians["factor"]) ** 2).sum(2).min(1)


def auroc(inside, outside) -> float:
    """Chance that a picture from outside scores above one from inside."""
    order = np.concatenate([inside, outside]).argsort().argsort()
    n, m = len(inside), len(outside)
    return round(float((order[n:].sum() - m * (m - 1) / 2) / (n * m)), 4)


def packed(gaussians, limit) -> dict:
    """The manifest's form."""
    short = lambda a: [float(f"{v:.6g}") for v in a]
    factor = gaussians["factor"]
    return dict(
        means=[short(m) for m in gaussians["means"]],
        factor=short(factor[np.tril_indices(len(factor))]),
        threshold=round(float(limit), 2),
    )


def principal(pooled, count) -> np.ndarray:
    """float32 [count, width]: the main directions of pooled vectors [N,width], scaled to unit variance."""
    centred = pooled - pooled.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(pooled))
    top = np.argsort(values)[::-1][:count]
    return (vectors[:, top] / np.sqrt(values[top] + 1e-9)).T.astype(np.float32)


# --- steadiness -----------------------------------------------------------------------------------------------------


def shifted(image, dx, dy):
    """The picture seen by a camera moved by (dx, dy) pixels, -1..1, without wrapping: one pixel is lost at each
    border."""
    w, h = image.size
    return image.crop((1 + dx, 1 + dy, w - 1 + dx, h - 1 + dy))
