"""Chapter 16's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math

import numpy as np
import pandas as pd
import pytest

from bnlab.chapters.ch16_random_matrices import conditioning_verdicts, verdicts
from bnlab.claims.ledger import LedgerError

KAPPAS = np.array([10.0, 20.0, 40.0, 80.0])
FACTORS = np.array([1, 2, 3, 5, 8])


def moments(**changed):
    rows = [(M, k, float((M + 1) ** (k - 1)) if k else 1.0, 1e-14) for M in FACTORS for k in (0, 1, 2)]
    return pd.DataFrame(rows, columns=["M", "order", "quadrature", "relative_error"]).assign(**changed)


def distances():
    rows = [
        (entries, M, 1000, run, quantity, far)
        for entries in ("gaussian", "uniform", "rademacher")
        for M in (1, 2, 3)
        for run in range(2)
        for quantity, far in (("squared", 0.004), ("plain", 0.18))
    ]
    return pd.DataFrame(rows, columns=["entries", "M", "N", "run", "quantity", "ks_distance"])


def extremes():
    rows = [(e, M, run, 60.0**M, 0.97) for e in ("gaussian", "uniform") for M in (1, 2, 3) for run in range(2)]
    columns = ["entries", "M", "run", "largest_standard_gaussian", "largest_squared_over_edge"]
    return pd.DataFrame(rows, columns=columns)


def exponents():
    rows = [(M, "squared", -M / (M + 1)) for M in FACTORS] + [(M, "plain", -(M - 1) / (M + 1)) for M in FACTORS]
    return pd.DataFrame(rows, columns=["M", "quantity", "measured_exponent"])


def growth(slope=0.45, edge=0.47):
    rows = [(M, run, float(M) ** slope, float(M) ** edge) for M in (4, 8, 16) for run in range(5)]
    return pd.DataFrame(rows, columns=["M", "run", "largest", "root_of_edge"])


def depth(slope=1.0, sides=(16, 64)):
    rows = [
        (N, M, run, gap * slope * M + 0.1 * run, gap)
        for N, gap in zip(sides, (2.0, 2.7), strict=False)
        for M in (1, 2, 10, 20, 50, 100)
        for run in range(3)
    ]
    return pd.DataFrame(rows, columns=["N", "M", "run", "log_kappa", "gap"])


def descent(first=2.0, second=2.0):
    rows = [(k, name, k**slope) for name, slope in (("a", first), ("b", second)) for k in KAPPAS]
    return pd.DataFrame(rows, columns=["kappa", "learning_rate", "iterations"])


def rates(lower=-2.0, upper=0.0, ratio=1.0):
    rows = [
        (k, f"s_{end} = 1", 2 * k**slope, ratio * k**2, k**2)
        for end, slope in (("min", lower), ("max", upper))
        for k in KAPPAS
    ]
    return pd.DataFrame(rows, columns=["kappa", "normalisation", "largest_rate", "gradient_ratio", "kappa_squared"])


def schemes(slope=-0.5, apart=0.0, log_kappa=10.0, names=("Theorem 1", "Xavier", "Kaiming")):
    rows = [(name, n, n**slope, log_kappa + apart * i) for i, name in enumerate(names) for n in (64, 128, 256)]
    return pd.DataFrame(rows, columns=["scheme", "n", "standard_deviation", "log_kappa_product"])


def zero_or_value():
    rows = [(1.0, 1.0, 1.001, 0.001, 0.37, 0.3701), (100.0, 1.0, 1.2, 0.2, 0.9999, 0.9999)]
    columns = ["value", "second_moment", "measured_moment", "standard_error", "zero_row", "measured_zero_row"]
    return pd.DataFrame(rows, columns=columns)


def deep(runs=5):
    rows = [(d, run, 2.0 / d) for d in (1, 2, 4) for run in range(runs)]
    return pd.DataFrame(rows, columns=["depth", "run", "largest_rate"])


def changed(table, to, column, **where):
    at = (table[list(where)] == pd.Series(where)).all(axis=1)
    assert at.any()
    return table.assign(**{column: table[column].astype(float).where(~at, to)})


def tables(**other):
    variances = [("1 x 1", 0.98, 0.98), ("3 x 2", 35.0, 0.97)]
    good = {
        "moments": moments(),
        "distances": distances(),
        "extremes": extremes(),
        "variances": pd.DataFrame(variances, columns=["sigmas", "over_printed_edge", "over_edge"]),
        "zero_exponents": exponents(),
        "largest": growth(),
        "depth": depth(),
        "gradient_descent": descent(),
        "rates": rates(),
        "initialisations": schemes(),
        "zero_or_value": zero_or_value(),
    }
    assert set(other) <= set(good)
    return good | other


def verdict(claim, off=1e-15, stable=None, **other):
    judged = {one.id: one for one in verdicts.quick(tables(**other), off, deep() if stable is None else stable)}
    return judged[claim].verdict


def test_everything_is_judged_once():
    judged = verdicts.quick(tables(), 1e-15, deep())
    assert [(one.id, one.verdict) for one in judged] == [
        ("B-Thm1", "reproduced"),
        ("B-Thm1sq", "corrected"),
        ("B-MP", "reproduced"),
        ("B-Supp", "corrected"),
        ("B-Blow", "corrected"),
        ("B-OM", "corrected"),
        ("B-Fig8", "reproduced"),
        ("B-Fig9", "reproduced"),
        ("B-Kappa", "reproduced"),
        ("B-GD1", "reproduced"),
        ("B-GD2", "partly"),
        ("B-Xav", "reproduced"),
        ("B-0100", "reproduced"),
        ("B-Deep", "reproduced"),
        ("B-NonGauss", "reproduced"),
    ]
    assert {one.scale for one in judged} == {"quick"}
    recorded = verdicts.full(tables())
    assert {one.scale for one in recorded} == {"full"}
    assert [one.id for one in recorded] == [one.id for one in judged if one.id not in ("B-MP", "B-Deep")]


def far(value, entries, quantity):
    return changed(distances(), value, "ks_distance", entries=entries, quantity=quantity, M=2, run=1)


def exponent(value, quantity, M=2):
    return changed(exponents(), value, "measured_exponent", quantity=quantity, M=M)


def as_printed(off=0.0):
    return exponents().assign(measured_exponent=[-M / (M + 1) + off for M in FACTORS] * 2)


@pytest.mark.parametrize(
    ("claim", "other", "expected"),
    [
        ("B-Thm1", {"moments": changed(moments(), 1.2e-8, "relative_error", M=8, order=2)}, "not reproduced"),
        ("B-Thm1", {"moments": changed(moments(), 1.19e-8, "relative_error", M=8, order=2)}, "reproduced"),
        ("B-Thm1sq", {"distances": far(0.01, "gaussian", "squared")}, "not reproduced"),
        ("B-Thm1sq", {"distances": far(0.0099, "gaussian", "squared")}, "corrected"),
        ("B-Thm1sq", {"distances": far(0.1, "gaussian", "plain")}, "not reproduced"),
        ("B-Thm1sq", {"distances": far(0.101, "gaussian", "plain")}, "corrected"),
        ("B-Thm1sq", {"distances": far(0.5, "uniform", "squared")}, "corrected"),
        ("B-Thm1sq", {"distances": distances().assign(ks_distance=0.0099)}, "reproduced"),
        ("B-Thm1sq", {"distances": distances().assign(ks_distance=0.01)}, "not reproduced"),
        ("B-MP", {"off": 1e-10}, "not reproduced"),
        ("B-MP", {"off": 0.99e-10}, "reproduced"),
        ("B-MP", {"off": -1e-10}, "not reproduced"),
        ("B-Blow", {"zero_exponents": as_printed()}, "reproduced"),
        ("B-Blow", {"zero_exponents": as_printed(0.0011)}, "not reproduced"),
        ("B-Blow", {"zero_exponents": exponent(-2 / 3 + 0.0011, "squared")}, "not reproduced"),
        ("B-Blow", {"zero_exponents": exponent(-2 / 3 - 0.0009, "squared")}, "corrected"),
        ("B-Blow", {"zero_exponents": exponent(-1 / 3 - 0.0011, "plain")}, "not reproduced"),
        ("B-Blow", {"zero_exponents": exponent(-1 / 3 + 0.0009, "plain")}, "corrected"),
        ("B-OM", {"largest": growth(0.86)}, "reproduced"),
        ("B-OM", {"largest": growth(1.14)}, "reproduced"),
        ("B-OM", {"largest": growth(1.16)}, "not reproduced"),
        ("B-OM", {"largest": growth(0.84)}, "not reproduced"),
        ("B-OM", {"largest": growth(0.33)}, "corrected"),
        ("B-OM", {"largest": growth(0.31)}, "not reproduced"),
        ("B-OM", {"largest": growth(0.61)}, "corrected"),
        ("B-OM", {"largest": growth(0.63)}, "not reproduced"),
        ("B-Fig8", {"moments": changed(moments(), 1.2e-8, "relative_error", M=1, order=0)}, "reproduced"),
        ("B-Fig8", {"moments": changed(moments(), 3 * (1 + 1.3e-8), "quadrature", M=2, order=2)}, "not reproduced"),
        ("B-Fig8", {"moments": changed(moments(), 3 * (1 + 1.1e-8), "quadrature", M=2, order=2)}, "reproduced"),
        ("B-Fig8", {"moments": changed(moments(), 1 + 1e-8, "quadrature", M=2, order=1)}, "not reproduced"),
        ("B-Fig9", {"distances": far(0.01, "gaussian", "squared")}, "not reproduced"),
        ("B-Fig9", {"distances": far(0.0099, "gaussian", "squared")}, "reproduced"),
        ("B-Fig9", {"distances": far(0.1, "gaussian", "plain")}, "not reproduced"),
        ("B-Fig9", {"distances": far(0.101, "gaussian", "plain")}, "reproduced"),
        ("B-NonGauss", {"distances": far(0.01, "uniform", "squared")}, "not reproduced"),
        ("B-NonGauss", {"distances": far(0.0099, "uniform", "squared")}, "reproduced"),
        ("B-NonGauss", {"distances": far(0.5, "rademacher", "squared")}, "reproduced"),
    ],
)
def test_criteria_of_the_law(claim, other, expected):
    assert verdict(claim, **other) == expected


@pytest.mark.parametrize(
    ("edge", "printed", "mended", "expected"),
    [
        (0.97, 35.0, 0.97, "corrected"),
        (0.97, 1.05, 0.97, "reproduced"),
        (0.97, 1.101, 0.97, "corrected"),
        (0.97, 0.899, 0.97, "corrected"),
        (0.97, 0.901, 0.5, "reproduced"),
        (0.97, 35.0, 0.901, "corrected"),
        (0.97, 35.0, 0.899, "not reproduced"),
        (0.97, 35.0, 1.101, "not reproduced"),
        (0.901, 35.0, 0.97, "corrected"),
        (0.899, 35.0, 0.97, "not reproduced"),
        (1.101, 1.0, 0.97, "not reproduced"),
        (math.inf, 35.0, 0.97, "not reproduced"),
    ],
)
def test_the_support_at_both_variances(edge, printed, mended, expected):
    ends = changed(extremes(), edge, "largest_squared_over_edge", entries="gaussian", M=3, run=1)
    table = tables()["variances"].assign(over_printed_edge=[0.98, printed], over_edge=[0.98, mended])
    assert verdict("B-Supp", extremes=ends, variances=table) == expected


def test_other_entries_do_not_judge_the_support():
    ends = changed(extremes(), 0.5, "largest_squared_over_edge", entries="uniform")
    assert verdict("B-Supp", extremes=ends) == "corrected"


def zeroes(value, column, at=100.0):
    return {"zero_or_value": changed(zero_or_value(), value, column, value=at)}


LIMIT = 256 * np.exp(10) * np.finfo(float).eps  # of the differences of ln kappa, for two schemes at n = 256


@pytest.mark.parametrize(
    ("claim", "other", "expected"),
    [
        ("B-Kappa", {"depth": depth(1.049)}, "reproduced"),
        ("B-Kappa", {"depth": depth(1.051)}, "not reproduced"),
        ("B-Kappa", {"depth": depth(0.951)}, "reproduced"),
        ("B-Kappa", {"depth": depth(0.949)}, "not reproduced"),
        ("B-Kappa", {"depth": changed(depth(), 1.0, "log_kappa", N=64, M=10)}, "not reproduced"),
        ("B-Kappa", {"depth": changed(depth(), 5.51, "log_kappa", N=64, M=1)}, "not reproduced"),
        ("B-Kappa", {"depth": changed(depth(), math.inf, "log_kappa", N=64, M=100, run=0)}, "not reproduced"),
        ("B-Kappa", {"depth": changed(depth(), 99.0, "log_kappa", N=64, M=1, run=0)}, "reproduced"),  # medians
        ("B-GD1", {"gradient_descent": descent(2.049)}, "reproduced"),
        ("B-GD1", {"gradient_descent": descent(2.051)}, "not reproduced"),
        ("B-GD1", {"gradient_descent": descent(second=1.949)}, "not reproduced"),
        ("B-GD1", {"gradient_descent": descent(second=1.951)}, "reproduced"),
        ("B-GD1", {"gradient_descent": descent().query("learning_rate == 'a'")}, "not reproduced"),
        ("B-GD2", {"rates": rates(-2.049, 0.049)}, "partly"),
        ("B-GD2", {"rates": rates(-1.951, -0.049)}, "partly"),
        ("B-GD2", {"rates": rates(-2.051)}, "not reproduced"),
        ("B-GD2", {"rates": rates(-1.949)}, "not reproduced"),
        ("B-GD2", {"rates": rates(upper=-0.051)}, "reproduced"),
        ("B-GD2", {"rates": rates(upper=0.051)}, "not reproduced"),
        ("B-GD2", {"rates": rates(ratio=1 + 1.01e-9)}, "not reproduced"),
        ("B-GD2", {"rates": rates(ratio=1 - 0.99e-9)}, "partly"),
        ("B-Xav", {"initialisations": schemes(-0.5 + 1.01e-9)}, "not reproduced"),
        ("B-Xav", {"initialisations": schemes(-0.5 - 0.99e-9)}, "reproduced"),
        ("B-Xav", {"initialisations": schemes(apart=0.99 * LIMIT, names=("a", "b"))}, "not reproduced"),  # n = 64
        ("B-Xav", {"initialisations": schemes(apart=0.99 * LIMIT / 4, names=("a", "b"))}, "reproduced"),
        ("B-Xav", {"initialisations": schemes(apart=1.01 * LIMIT / 4, names=("a", "b"))}, "not reproduced"),
        ("B-Xav", {"initialisations": schemes(apart=1.01 * LIMIT / 4, log_kappa=11.0)}, "reproduced"),
        ("B-0100", zeroes(2.0, "measured_moment"), "not reproduced"),
        ("B-0100", zeroes(0.2001, "measured_moment"), "reproduced"),
        ("B-0100", zeroes(0.1999, "measured_moment"), "not reproduced"),
        ("B-0100", zeroes(1.0000001, "second_moment"), "not reproduced"),
        ("B-0100", zeroes(0.37 + 0.0021, "measured_zero_row", 1.0), "not reproduced"),
        ("B-0100", zeroes(0.37 - 0.0021, "measured_zero_row", 1.0), "not reproduced"),
        ("B-0100", zeroes(0.37 + 0.0019, "measured_zero_row", 1.0), "reproduced"),
        ("B-Deep", {"stable": changed(deep(), 2.0, "largest_rate", depth=2, run=0)}, "partly"),
        ("B-Deep", {"stable": changed(deep(), 1.0, "largest_rate", depth=4, run=3)}, "partly"),
        ("B-Deep", {"stable": changed(deep(), 1.0, "largest_rate", depth=4)}, "not reproduced"),
        ("B-Deep", {"stable": changed(deep(), 0.99, "largest_rate", depth=4)}, "reproduced"),
    ],
)
def test_criteria_of_conditioning(claim, other, expected):
    assert verdict(claim, **other) == expected


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("moments", "relative_error"),
        ("moments", "quadrature"),
        ("distances", "ks_distance"),
        ("extremes", "largest_squared_over_edge"),
        ("variances", "over_printed_edge"),
        ("variances", "over_edge"),
        ("zero_exponents", "measured_exponent"),
        ("largest", "largest"),
        ("largest", "root_of_edge"),
        ("depth", "log_kappa"),
        ("depth", "gap"),
        ("gradient_descent", "iterations"),
        ("rates", "largest_rate"),
        ("rates", "gradient_ratio"),
        ("initialisations", "standard_deviation"),
        ("initialisations", "log_kappa_product"),
        ("zero_or_value", "second_moment"),
        ("zero_or_value", "measured_moment"),
        ("zero_or_value", "standard_error"),
        ("zero_or_value", "zero_row"),
        ("zero_or_value", "measured_zero_row"),
    ],
)
def test_what_is_no_number_decides_nothing(name, column):
    table = tables()[name]
    spoilt = table.assign(**{column: math.nan})
    for judge in (verdicts.full, lambda made: verdicts.quick(made, 1e-15, deep())):
        with pytest.raises(LedgerError, match="not a number"):
            judge(tables(**{name: spoilt}))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"distances": distances().query("entries != 'uniform'")}, "no row with entries = 'uniform'"),
        ({"distances": distances().query("quantity != 'plain'")}, "quantity = 'plain'"),
        ({"extremes": extremes().query("entries != 'gaussian'")}, "entries = 'gaussian'"),
        ({"variances": tables()["variances"][:1]}, "sigmas = '3 x 2'"),
        ({"zero_exponents": exponents().query("quantity != 'plain'")}, "quantity = 'plain'"),
        ({"largest": growth().query("M == 4 or M == 8").iloc[::5]}, "not a list of at least 3"),
        ({"moments": moments().query("order != 2")}, "no run of order = 2"),
        ({"depth": depth().query("M < 20")}, "at least 20 factors"),
        ({"depth": depth().query("not (N == 16 and M == 50 and run == 1)")}, "1 runs are lost"),
        ({"gradient_descent": descent().query("kappa < 30")}, "not a list of at least 3"),
        ({"rates": rates().query("normalisation != 's_max = 1'")}, "s_max = 1"),
        ({"initialisations": schemes().query("not (scheme == 'Xavier' and n == 64)")}, "not a list of|runs are lost"),
        ({"stable": deep(4)}, "at least five paired seeds"),
        ({"stable": deep().query("not (depth == 2 and run == 1)")}, "1 runs are lost"),
        ({"off": math.nan}, "Marchenko–Pastur: 1 of 1"),
    ],
)
def test_what_is_missing_is_an_error(other, words):
    with pytest.raises(LedgerError, match=words):
        verdict("B-Thm1", **other)


def test_slopes_over_their_limits():
    assert conditioning_verdicts.lyapunov_slopes(depth(1.25)) == pytest.approx({16: 1.25, 64: 1.25})
    bent = changed(depth(), 0.0, "log_kappa", M=10)  # below twenty factors nothing is fitted
    assert conditioning_verdicts.lyapunov_slopes(bent) == pytest.approx({16: 1.0, 64: 1.0})


def test_every_word_that_is_said(as_said, uneven):
    made = uneven(tables() | {"deep": deep()})
    as_said(quick=verdicts.quick(made, 1e-15, made["deep"]), full=verdicts.full(made))
