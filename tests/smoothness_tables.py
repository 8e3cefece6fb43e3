"""Invented tables of chapter 09, in which every claim comes out one way; tests change them."""

import math

import pandas as pd

from bnlab.chapters.ch09_smoothness.networks import CONVOLUTIONAL, LINEAR

RULES = ("0.1", "own")
DEPTHS = (8, 14)


def probes(seeds=5, none=100.0, batch=5.0):
    """Without BN everything is so much, with BN so much."""
    rows = [
        (network, rule, norm, seed, step, kind, length, 2.0, 2 * value, value, value, value, 3.0)
        for network in (LINEAR, CONVOLUTIONAL)
        for rule in RULES
        for norm, value in (("none", none), ("batch", batch))
        for seed in range(seeds)
        for step in (0, 25, 50)
        for kind, length in (("multiples", 0.0), ("distance", 0.1), ("distance", 1.0), ("share of ||w||", 0.01))
    ]
    columns = ["network", "rule", "norm", "seed", "step", "kind", "length", "loss", "range", "change", "beta"]
    return pd.DataFrame(rows, columns=[*columns, "gradient_norm", "weight_norm"])


def curvatures(seeds=5, ratio=None, shares=(0.9, 0.2, 0.95), gradient=0.5):
    """lambda_1 is 10 without BN and times ``ratio(depth, statistics, level)`` with it."""
    ratio = ratio or (lambda depth, statistics, level: 2.0 if depth == 8 else 0.5)
    share = dict(zip(("none", "batch", "population"), shares, strict=True))
    nan, rows = math.nan, []
    for depth in DEPTHS:
        for seed in range(seeds):
            for norm, kinds in (("none", ("none",)), ("batch", ("batch", "population", "running"))):
                for level in (math.inf, 1.9):
                    for kind in kinds:
                        top = 10 * (1 if kind == "none" else ratio(depth, kind, level))
                        own = share.get(kind, nan) if level == 1.9 else nan
                        rows.append((depth, norm, seed, "spectrum", -1, level, kind, 1.9, top, -1.0, 1e-3, own, 1, 2))
                size = 1.0 if norm == "none" else gradient
                for step, loss in enumerate((2.3, 2.1, 1.9)):
                    path = ("path", step, nan, "batch", loss, nan, nan, nan, nan, size * (1 + step), 2.0)
                    rows.append((depth, norm, seed, *path))
    columns = ["depth", "norm", "seed", "what", "step", "level", "statistics", "loss", "largest", "smallest"]
    return pd.DataFrame(rows, columns=[*columns, "residual", "share", "gradient_norm", "weight_norm"])


def conditions(draws=20, seeds=5, smaller=20):
    rows = [
        ("MLP", norm, seed, f"linears.{k}.weight", 64, 100.0 if norm == "none" else 50.0 if seed < smaller else 200.0)
        for norm in ("none", "batch")
        for seed in range(draws)
        for k in (1, 2)
    ]
    rows += [("ResNet-8", n, s, "convolutions.1", 144, 1e3) for n in ("none", "batch") for s in range(seeds)]
    return pd.DataFrame(rows, columns=["network", "norm", "seed", "layer", "size", "kappa"])


def lines(seeds=5, batch=3.0):
    rows = [
        (norm, seed, place, value)
        for norm, value in (("none", 5.0), ("batch", batch))
        for seed in range(seeds)
        for place in ("start", "later")
    ]
    return pd.DataFrame(rows, columns=["norm", "seed", "place", "aspect"])


def survival(seeds=5, none=1, batch=3):
    """Rates 1, 2, 4, ... of which so many are survived."""
    rows = [
        (2.0**k, norm, seed, 2.3, 1.0 if k < lived else math.inf, k < lived)
        for k in range(4)
        for norm, lived in (("none", none), ("batch", batch))
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["rate", "norm", "seed", "before", "after", "survived"])


def bound(equal=1.0, padded=0.8, plain=1.5):
    rows = []
    for seed in range(5):
        for eps, ratio in ((0.0, equal), (1.0, padded)):
            rows += [(seed, eps, "at the BN output", ratio, 1.0), (seed, eps, "at the plain y", plain, 1.0)]
    return pd.DataFrame(rows, columns=["seed", "eps", "reading", "left", "right"])


def gains(top=5.0):
    return pd.DataFrame({"seed": 0, "deviation": [0.2, 1.0], "gain": [top, 0.9], "projected": 0.9})


def hessians(off=1e-12):
    return pd.DataFrame({"draw": range(4), "deviation": off, "along": [0.5, 0.5, 2.0, 0.5], "plain": 1.0})


GOOD = {
    "bound": bound(),
    "gains": gains(),
    "hessians": hessians(),
    "probes": probes(),
    "curvatures": curvatures(),
    "conditions": conditions(),
    "level_lines": lines(),
    "survival": survival(),
}


def changed(table, value, column, **where):
    at = (table[list(where)] == pd.Series(where)).all(axis=1)
    assert at.any()
    return table.assign(**{column: table[column].where(~at, value)})
