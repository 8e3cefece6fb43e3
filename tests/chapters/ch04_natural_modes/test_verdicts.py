"""Chapter 04's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math
from dataclasses import fields, replace

import pandas as pd
import pytest

from bnlab.chapters.ch04_natural_modes import verdicts
from bnlab.claims.ledger import LedgerError

GOOD = verdicts.Found(
    title="toy",
    orthogonality=1e-15,
    left_over=0.4,
    equation_2=1e-15,
    wiener_full=1e-12,
    wiener_singular=-1e-11,
    without_power=49,
    loss_printed=3.0,
    loss_corrected=0.5,
    growth_printed=1e11,
    off_law_printed=1e12,
    off_law=1e-14,
    few_steps=40,
    weights=25,
    as_row=1e-15,
    as_column=1e-14,
    column_times_matrix="undefined",
    leakage=1e-14,
    edge_steps=3000,
    decays=8e-14,
    stays=1.0,
    grows=9e12,
    positions=784,
    off_positions=(1e-14, -2e-14),
    off_convention=(0.0, 1e-15, -1e-15),
    off_tau=(1e-9, -1e-12),
    tau_undefined=80,
    tau_rates=160,
    tau_alternating=80,
    around=(1.8, 1.9),
    slowest_below=0,
    slowest_above=3,
    crossover=1.818,
    missed_entries=(0.1, 0.3),
    missed_modes=(1e-12, 1e-13),
    distance_squared=1e-9,
    distance_entropy=0.9,
    top_hessian=2.0,
    top_r=9.0,
)
FITS = pd.DataFrame(
    [
        (0.2, 0, 0.1, 300, -0.02, -0.02, 1.0),
        (0.2, 1, 1.0, 300, -0.2, -0.2, 1.0),
        (1.0, 0, 0.1, 300, -0.1, -0.1, 1.0),
        (1.0, 1, 1.0, 1, math.nan, -math.inf, math.nan),  # gone in one step
    ],
    columns=["rate", "mode", "eigenvalue", "points", "slope", "theory", "r_squared"],
)
ORDERS = {"independent": 2.5, "sliding": 40.0}  # standard errors from Eq. 6


def lms(share=0.02, seeds=5, orders=ORDERS):
    rows = [
        (share, order, seed, step, mode, far * (1 if mode else -0.5))
        for order, far in orders.items()
        for seed in range(seeds)
        for step in (1, 10)
        for mode in (0, 1)
    ]
    return pd.DataFrame(rows, columns=["share", "order", "seed", "step", "mode", "distance"])


def tables(**changed):
    good = {
        "fits": FITS,
        "lms_modes": pd.concat([lms(), lms(0.9, orders={"independent": 90.0, "sliding": 90.0})]),
        "lms_bounds": pd.DataFrame({"bound": ["mean", "trace", "sharp"], "mu": [0.2, 0.1, 0.03]}),
        "convergence": pd.DataFrame({"smallest_eigenvalue": [0.01, 0.1, 1.0], "steps": [1000, 100, 10]}),
        "largest_rate": pd.DataFrame({"largest_eigenvalue": [0.1, 1.0, 10.0], "largest_rate": [20.0, 2.0, 0.2]}),
    }
    return good | changed


def verdict(claim, found=GOOD, converged=FITS, scale="quick", **changed):
    made = {
        "quick": lambda: verdicts.quick(found, tables(**changed), converged),
        "full": lambda: verdicts.full(tables(**changed), "toy"),
    }[scale]()
    judged = {one.id: one for one in made}
    assert len(judged) == len(made)
    assert {one.scale for one in made} == {scale}
    return judged[claim].verdict


def test_everything_is_judged_once():
    found = {one.id: one.verdict for one in verdicts.quick(GOOD, tables(), FITS)}
    assert found == {
        "C-Orth": "reproduced",
        "C-Eq2": "reproduced",
        "C-Eq3": "reproduced",
        "C-Eq4": "corrected",
        "C-Eq5": "reproduced",
        "C-V": "reproduced",
        "C-Eq6": "reproduced",
        "C-Stab": "reproduced",
        "C-Tau": "corrected",
        "C-TauMin": "corrected",
        "C-CEntry": "corrected",
        "C-Rnorm": "reproduced",
        "C-Hess": "partly",
        "C-ConvModes": "reproduced",
        "C-SGD": "corrected",
        "C-FastTrain": "reproduced",
    }
    assert [one.id for one in verdicts.full(tables(), "toy")] == ["C-ConvModes", "C-SGD", "C-FastTrain"]


@pytest.mark.parametrize(
    ("claim", "changed", "expected"),
    [
        ("C-Orth", {"orthogonality": 1e-9}, "not reproduced"),
        ("C-Orth", {"orthogonality": 0.99e-9}, "reproduced"),
        ("C-Orth", {"orthogonality": math.inf}, "not reproduced"),
        ("C-Eq2", {"equation_2": 1e-12}, "not reproduced"),
        ("C-Eq2", {"equation_2": 0.99e-12}, "reproduced"),
        ("C-Eq3", {"wiener_full": 1e-8}, "not reproduced"),
        ("C-Eq3", {"wiener_singular": 1e-8}, "not reproduced"),
        ("C-Eq3", {"wiener_full": 0.99e-8, "wiener_singular": 0.99e-8}, "reproduced"),
        ("C-Eq4", {"loss_printed": 0.9}, "corrected"),
        ("C-Eq4", {"off_law_printed": 1e-11}, "corrected"),
        ("C-Eq4", {"loss_printed": 0.9, "off_law_printed": 1e-10}, "corrected"),
        ("C-Eq4", {"loss_printed": 0.9, "off_law_printed": 0.99e-10}, "reproduced"),
        ("C-Eq4", {"loss_printed": 1.0, "off_law_printed": 0.99e-10}, "corrected"),
        ("C-Eq4", {"loss_corrected": 1.0}, "not reproduced"),
        ("C-Eq4", {"off_law": 1e-10}, "not reproduced"),
        ("C-Eq4", {"off_law": 0.99e-10}, "corrected"),
        ("C-Eq5", {"as_row": 1e-10}, "not reproduced"),
        ("C-Eq5", {"as_column": 1e-10}, "not reproduced"),
        ("C-Eq5", {"as_row": 0.99e-10, "as_column": 0.99e-10}, "reproduced"),
        ("C-V", {"leakage": 1e-10}, "not reproduced"),
        ("C-V", {"leakage": 0.99e-10}, "reproduced"),
        ("C-Eq6", {"off_law": 1e-12}, "not reproduced"),
        ("C-Eq6", {"off_law": 0.99e-12}, "reproduced"),
        ("C-Stab", {"decays": 1e-10}, "not reproduced"),
        ("C-Stab", {"decays": 0.99e-10}, "reproduced"),
        ("C-Stab", {"stays": 1 + 1.01e-6}, "not reproduced"),
        ("C-Stab", {"stays": 1 - 1.01e-6}, "not reproduced"),
        ("C-Stab", {"stays": 1 - 0.99e-6}, "reproduced"),
        ("C-Stab", {"grows": 1e10}, "not reproduced"),
        ("C-Stab", {"grows": 1.01e10}, "reproduced"),
        ("C-Stab", {"grows": math.inf}, "reproduced"),
        ("C-Tau", {"tau_undefined": 0}, "reproduced"),
        ("C-Tau", {"tau_undefined": 1}, "corrected"),
        ("C-Tau", {"off_tau": (0.0, -1e-6)}, "not reproduced"),
        ("C-Tau", {"off_tau": (1e-6, 0.0), "tau_undefined": 0}, "not reproduced"),
        ("C-Tau", {"off_tau": (0.0, 0.99e-6)}, "corrected"),
        ("C-TauMin", {"slowest_above": 0}, "reproduced"),
        ("C-TauMin", {"slowest_below": 3}, "not reproduced"),
        ("C-TauMin", {"slowest_below": 3, "slowest_above": 0}, "not reproduced"),
        ("C-TauMin", {"slowest_above": 2}, "not reproduced"),
        ("C-CEntry", {"missed_entries": (0.0, 0.99e-9)}, "reproduced"),
        ("C-CEntry", {"missed_entries": (0.0, 1e-9)}, "corrected"),
        ("C-CEntry", {"missed_modes": (0.0, 1e-9)}, "not reproduced"),
        ("C-CEntry", {"missed_modes": (0.0, 0.99e-9)}, "corrected"),
        ("C-Rnorm", {"off_positions": (0.0, -1e-10)}, "not reproduced"),
        ("C-Rnorm", {"off_convention": (1e-10, 0.0)}, "not reproduced"),
        ("C-Rnorm", {"off_positions": (0.99e-10,), "off_convention": (-0.99e-10,)}, "reproduced"),
        ("C-Hess", {"distance_entropy": 0.99e-6}, "reproduced"),
        ("C-Hess", {"distance_entropy": 1e-6}, "partly"),
        ("C-Hess", {"distance_squared": 1e-6}, "not reproduced"),
        ("C-Hess", {"distance_squared": 0.99e-6}, "partly"),
    ],
)
def test_criteria_of_the_page(claim, changed, expected):
    assert verdict(claim, replace(GOOD, **changed)) == expected


@pytest.mark.parametrize(
    ("claim", "changed", "words"),
    [
        ("C-Tau", {}, "undefined at 80 of 160 stable rates, all those with"),
        ("C-Tau", {"tau_undefined": 79}, "undefined at 79 of 160 stable rates"),
        ("C-Tau", {"tau_undefined": 0, "tau_alternating": 0}, "undefined at 0 of 160 stable rates"),
        (
            "C-TauMin",
            {},
            r"1.80 that of $\lambda_{\min}$; at 1.90 that of $\lambda_{\max}$; the switch by the formula: 1.818",
        ),
        ("C-TauMin", {"slowest_above": 2}, r"at 1.90 that of $\lambda_3$"),
        ("C-Rnorm", {}, "the 2 largest eigenvalues"),
        ("C-Eq5", {"column_times_matrix": "defined"}, "of a column and the matrix is defined"),
    ],
)
def test_cards_tell_what_was_looked_at(claim, changed, words):
    (card,) = (one.measured for one in verdicts.quick(replace(GOOD, **changed), tables(), FITS) if one.id == claim)
    assert words in card
    assert ("all those" in card) == ("all those" in words)


@pytest.mark.parametrize(
    "name", [field.name for field in fields(GOOD) if not isinstance(getattr(GOOD, field.name), str)]
)
def test_what_is_no_number_decides_nothing(name):
    value = getattr(GOOD, name)
    spoilt = (*value[:-1], math.nan) if isinstance(value, tuple) else math.nan
    with pytest.raises(LedgerError, match=f"{name}: 1 of "):
        verdicts.quick(replace(GOOD, **{name: spoilt}), tables(), FITS)
    if isinstance(value, tuple):
        with pytest.raises(LedgerError, match=f"{name}: no number"):
            verdicts.quick(replace(GOOD, **{name: ()}), tables(), FITS)


def fits(row, **changed):
    spoilt = FITS.copy()
    for column, value in changed.items():
        spoilt.loc[row, column] = value
    return spoilt


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"slope": -0.2 * 1.0101}, "not reproduced"),
        ({"slope": -0.2 * 0.9899}, "not reproduced"),
        ({"slope": -0.2 * 1.0099}, "reproduced"),
        ({"slope": -0.2 * 0.9901}, "reproduced"),
        ({"slope": -math.inf}, "not reproduced"),
        ({"r_squared": 0.999}, "not reproduced"),
        ({"r_squared": 0.9991}, "reproduced"),
        ({"slope": math.nan, "points": 4}, "reproduced"),  # no line
        ({"slope": 0.0, "theory": 0.0, "eigenvalue": 0.0}, "reproduced"),  # no power
        ({"points": 5, "slope": 0.2}, "not reproduced"),  # the fewest that make a line
    ],
)
def test_modes_of_a_layer(changed, expected):
    assert verdict("C-ConvModes", converged=fits(1, **changed)) == expected
    assert verdict("C-ConvModes", fits=fits(1, **changed)) == expected
    assert verdict("C-ConvModes", scale="full", fits=fits(1, **changed)) == expected


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"slope": math.nan}, "slopes: 1 of "),
        ({"theory": math.nan}, "Eq. 6: 1 of "),
        ({"r_squared": math.nan}, "R² of the lines: 1 of "),
    ],
)
def test_a_line_without_a_slope_is_an_error(changed, words):
    with pytest.raises(LedgerError, match=words):
        verdict("C-ConvModes", fits=fits(1, **changed))


def test_a_layer_without_a_line_is_an_error():
    with pytest.raises(LedgerError, match="lines through"):
        verdict("C-ConvModes", scale="full", fits=FITS.assign(points=1))


def lms_with(order, seed, far, step=10, mode=1):
    table = lms()
    at = (table["order"] == order) & (table["seed"] == seed) & (table["step"] == step) & (table["mode"] == mode)
    table.loc[at, "distance"] = far
    return table


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (lms(orders={"independent": 3.99, "sliding": 40.0}), "corrected"),
        (lms(orders={"independent": 4.0, "sliding": 40.0}), "not reproduced"),
        (lms(orders={"independent": 2.0, "sliding": 3.99}), "reproduced"),
        (lms(orders={"independent": 2.0, "sliding": 4.0}), "corrected"),
        (lms(orders={"independent": 9.0, "sliding": 3.9}), "reproduced"),
        (lms_with("independent", 4, -4.1), "not reproduced"),
        (lms_with("independent", 4, math.inf), "not reproduced"),
        (lms_with("sliding", 0, 3.0), "corrected"),  # another step and mode of that seed are still far
        (pd.concat([lms(), lms(0.5, orders={"independent": 9.0, "sliding": 9.0})]), "corrected"),
        (pd.concat([lms(0.5), lms(0.1, orders={"independent": 9.0, "sliding": 9.0})]), "not reproduced"),
    ],
)
def test_lms_as_printed_slides(table, expected):
    assert verdict("C-SGD", lms_modes=table) == expected
    assert verdict("C-SGD", scale="full", lms_modes=table) == expected


def test_four_of_five_sliding_windows_are_partly():
    calm = {seed: lms(orders={"independent": 1.0, "sliding": 1.0 if seed else 5.0}) for seed in range(2)}
    table = pd.concat([calm[bool(seed)].query("seed == @seed") for seed in range(5)])
    assert verdict("C-SGD", lms_modes=table) == "partly"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (lms(seeds=4), "at least five paired seeds, not 4"),
        (lms(orders={"independent": 1.0}), "no run of order = 'sliding'"),
        (lms().query("not (order == 'sliding' and seed == 2)"), "runs are lost"),
        (lms_with("sliding", 1, math.nan), "1 of 40 values are not a number"),
        (lms()[:0], "no number at all"),
    ],
)
def test_lost_runs_of_lms_are_errors(table, words):
    with pytest.raises(LedgerError, match=words):
        verdict("C-SGD", lms_modes=table)


def lever(name, values):
    x, y = ("smallest_eigenvalue", "steps") if name == "convergence" else ("largest_eigenvalue", "largest_rate")
    return {name: pd.DataFrame({x: [1.0, 10.0, 100.0], y: values})}


@pytest.mark.parametrize("name", ["convergence", "largest_rate"])
@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        (-1.0, "reproduced"),
        (-1.019, "reproduced"),
        (-0.981, "reproduced"),
        (-1.021, "not"),
        (-0.979, "not"),
        (1, "not"),
    ],
)
def test_both_levers_are_inverse_proportions(name, slope, expected):
    changed = lever(name, [1.0, 10.0**slope, 100.0**slope])
    assert verdict("C-FastTrain", **changed).startswith(expected)


@pytest.mark.parametrize("name", ["convergence", "largest_rate"])
@pytest.mark.parametrize("values", [[1.0, 0.1, math.nan], [1.0, 0.1, math.inf], [1.0, 0.1, 0.0]])
def test_a_lever_without_a_slope_is_an_error(name, values):
    with pytest.raises(LedgerError, match="against the"):
        verdict("C-FastTrain", **lever(name, values))


def test_every_word_that_is_said(as_said, uneven):
    made = uneven(tables())
    as_said(quick=verdicts.quick(GOOD, made, FITS), full=verdicts.full(made, "toy"))
