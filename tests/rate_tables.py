"""Invented tables of chapter 13, in which every claim comes out one way; tests change them."""

import math

import pandas as pd

from bnlab.chapters.ch13_learning_rate.learning_rate import run_points, warm_up_points
from bnlab.chapters.ch13_learning_rate.noise_verdicts import Noise

THREE = (0.001, 0.01, 0.1)
RATES, EPOCHS = (0.001, 0.003, 0.01, 0.1), (2400, 1500, 1320, 165)


def drawn(with_ratio=1.0, without=None):
    rows = [
        (size, replacement, ratio, error, expected)
        for size in (1, 4, 32)
        for replacement, ratio, error, expected in (
            (True, with_ratio, 0.01, 1.0),
            (False, (40 - size) / 39 if without is None else without, 0.01, (40 - size) / 39),
        )
    ]
    return pd.DataFrame(rows, columns=["batch_size", "replacement", "ratio", "standard_error", "expected"])


def noise(**other):
    facts = {"mean_error": 1e-16, "ratios": [1.0, 1 - 1e-16], "different": [1.0, 1.0], "drawn": drawn()}
    facts |= {"rate_step": 4.0, "batch_step": 2.0, "rate_progress": 2.0, "batch_progress": 2.0}
    return Noise(**{**facts, **other})


def largest_rates(none=0.001, batch=0.4, seeds=8, depths=(8, 110)):
    """Brackets of one octave from so much up, at the deepest; a hundred times more at the others without BN."""
    rows = [
        (depth, norm, 0, seed, rate, 2 * rate, "diverged", 2.3)
        for depth in depths
        for norm in ("none", "batch")
        for seed in range(seeds)
        for rate in [batch if norm == "batch" else none if depth == max(depths) else 100 * none]
    ]
    return pd.DataFrame(rows, columns=["depth", "norm", "warmup", "seed", "survived", "lost", "how", "initial_loss"])


def warm_up(short=1.0, seeds=5, depths=(8, 20)):
    """Without BN four octaves below BN at first, and so many after the longest warm-up."""
    rows = []
    for point in warm_up_points(depths, [50, 200], 10, list(range(seeds))):
        below = {0: 4.0, 50: 3.0, 200: short}[point["warmup"]] if point["norm"] == "none" else 0.0
        rate = 2.0**-below
        rows.append(point | {"survived": rate, "lost": 2 * rate, "how": "constant", "initial_loss": 2.3})
    return pd.DataFrame(rows)


TEST = {0.001: 0.6, 0.003: 0.65, 0.01: 0.7, 0.1: 0.8}
TRAIN = {0.001: 1.0, 0.003: 1.0, 0.01: 0.99, 0.1: 0.95}


def runs(test=None, train=None, none=0.61, lost=True, seeds=5, variants=None):
    """Two looks at each run; with BN and its variants the accuracies of ``test`` and ``train`` at the end."""
    test, train = {**TEST, **(test or {})}, {**TRAIN, **(train or {})}
    rows = []
    for point in run_points(RATES, EPOCHS, THREE, list(range(seeds))):
        rate, norm = point["rate"], point["norm"]
        here = none if norm == "none" else {**test, **(variants or {}).get(norm, {})}[rate]
        diverged = norm == "none" and rate == THREE[2] and lost
        ends = (math.nan,) * 4 if diverged else (train[rate], 0.01, here, 1.0)
        half = (point["epochs"] // 2, rate, 1.0, 0.5, 1.5, 0.4, 1.6, 0.5, diverged)
        last = (point["epochs"], rate / 100, math.inf if diverged else 0.1, *ends, 1.0, diverged)
        rows += [(*point.values(), *look) for look in ((last,) if diverged else (half, last))]
    columns = ["norm", "rate", "epochs", "seed", "epoch", "learning_rate", "loss", "train_accuracy", "train_loss"]
    return pd.DataFrame(rows, columns=[*columns, "test_accuracy", "test_loss", "progress", "diverged"])


def sharpness(power=-0.5, along=1.0, error=0.0, lost=0, ratios=(1, 2, 4, 8, 16), sizes=(4, 16, 64, 256)):
    """Largest eigenvalue (alpha / B)^power, times ``along`` from batch size to batch size, and a test error."""
    rows = []
    for number, (ratio, place) in enumerate((r, p) for r in ratios for p in range(len(sizes))):
        size = sizes[place]
        wiggle = 1 + 0.05 * ((7 * number) % 5 - 2)
        top = 10 * ratio**power * along**place * wiggle
        wrong = 0.2 + 0.001 * ((13 * number) % 7) + error * top
        reached = number >= lost
        numbers = (0.05, 0.5, wrong, top, 1e-3) if reached else (2.3, *(math.nan,) * 4)
        rows.append((ratio * 1e-3, size, 0, number, ratio * 1e-3 * size, 100, reached, *numbers))
    columns = ["ratio", "batch_size", "repeat", "seed", "rate", "steps", "reached", "train_loss", "test_loss"]
    return pd.DataFrame(rows, columns=[*columns, "test_error", "largest", "residual"])


def plateau(batch=1.0, largest=0.7, seeds=5, rates=(0.1, 0.15)):
    """From half way on in units of 2 / rate; a fifth of it before."""
    rows = [
        (rate, seed, step, 0.01, batch * 2 / rate * part, largest * 2 / rate * part)
        for rate in rates
        for seed in range(seeds)
        for step, part in ((500, 0.2), (1000, 0.2), (1500, 1.0), (2000, 1.0))
    ]
    return pd.DataFrame(rows, columns=["rate", "seed", "step", "loss", "batch", "largest"])


def tables(**other):
    made = {
        "largest_rates": largest_rates(),
        "warm_up": warm_up(),
        "runs": runs(),
        "sharpness": sharpness(along=1.5),
        "plateau": plateau(),
    }
    return {**made, **other}


def changed(table, value, column, first=False, **where):
    """A copy with one column set to a value in the rows chosen (or in the first of them)."""
    chosen = pd.Series(True, index=table.index)
    for name, wanted in where.items():
        chosen &= table[name] == wanted
    rows = table.index[chosen][: 1 if first else None]
    assert len(rows)
    copy = table.copy()
    copy[column] = copy[column].astype(object) if isinstance(value, str) else copy[column]
    copy.loc[rows, column] = value
    return copy
