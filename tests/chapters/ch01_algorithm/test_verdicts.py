"""What chapter 01 decides, handed numbers and tables on both sides of every criterion."""

import math
from dataclasses import fields, replace

import pandas as pd
import pytest

from bnlab.chapters.ch01_algorithm import batch_sizes, verdicts
from bnlab.claims.ledger import LedgerError

GOOD = verdicts.Found(
    title="digits",
    forward=(1e-14, 2e-14),
    mean=1e-15,
    off_one=0.9,
    off_corrected=1e-15,
    restored=1e-15,
    starts=(True, True),
    as_table=(1e-16, 2e-16),
    as_table_single=2e-7,
    parameters=12,
    channels=6,
    written_out=1e-15,
    unmoved=0,
    moved=0,
    input_autograd=1e-14,
    input_differences=(1e-9, 2e-9, 3e-9, 4e-9),
    parameters_autograd=1e-14,
    parameters_differences=(1e-9, 2e-9),
    first_terms=(0.5, 2.0, 0.0),
    second_terms=(1e-16, -1e-16, 0.0),
    compact=1e-16,
    singular=1e-15,
    time_slopes=(0.9, 1.1),
    count_slopes=(1.0, 1.0),
    bias_shares=(1e-16, 0.1, 0.07),
    means_seen=(1e-15, 0.2, 0.3),
    one_is_beta=True,
    two=1e-16,
)
SIZES = (2, 4, 8)
FALLS, RISES = (0.3, 0.2, 0.1), (0.1, 0.2, 0.3)


def arm(name: str, errors: list[tuple[float, ...]]) -> pd.DataFrame:
    """A table of one arm: a row of test errors a seed, one a size."""
    rows = [
        (batch_sizes.ARMS[name], m, seed, 10, error, False)
        for seed, of_seed in enumerate(errors)
        for m, error in zip(SIZES, of_seed, strict=True)
    ]
    return batch_sizes.table(rows, batch_sizes.UNITS)


def tables(falling: int = 5, seeds: int = 5) -> dict[str, pd.DataFrame]:
    """Tables in which the test error falls with m in the first seeds of the arm that decides, and in no other arm."""
    made = {name: arm(name, [RISES] * seeds) for name in batch_sizes.ARMS}
    return made | {"batch_norm": arm("batch_norm", [FALLS] * falling + [RISES] * (seeds - falling))}


def decided(claim: str, **changes: object) -> str:
    return {v.id: v.verdict for v in verdicts.quick(replace(GOOD, **changes), tables())}[claim]


def refusal(found: verdicts.Found, of: dict[str, pd.DataFrame]) -> str:
    with pytest.raises(LedgerError) as caught:
        verdicts.quick(found, of)
    return str(caught.value)


def test_what_must_pass_passes():
    found = verdicts.quick(GOOD, tables())
    assert {v.id: v.verdict for v in found if v.verdict != "reproduced"} == {"E-Fwd2": "corrected"}
    assert len({v.id for v in found}) == len(found) == 13
    assert {v.scale for v in found} == {"quick"}


R, N, P = "reproduced", "not reproduced", "partly"


@pytest.mark.parametrize(
    ("claim", "changes", "expected"),
    [
        ("E-Fwd1", {"forward": (0.0, 0.999e-12)}, R),
        ("E-Fwd1", {"forward": (0.0, 1e-12)}, N),
        ("E-Fwd1", {"forward": (-1.0, 0.0)}, N),
        ("E-Fwd1", {"forward": (0.0, math.inf)}, N),
        ("E-Fwd2", {"off_one": 1e-13}, R),
        ("E-Fwd2", {"off_one": 1e-12}, "corrected"),
        ("E-Fwd2", {"off_one": 1e-13, "mean": 1e-12}, N),
        ("E-Fwd2", {"off_corrected": 1e-12}, N),
        ("E-Fwd2", {"mean": 2e-12}, N),
        ("E-Fwd3", {"restored": 0.999e-12}, R),
        ("E-Fwd3", {"restored": 1e-12}, N),
        ("E-Init", {"starts": (True, False)}, N),
        ("E-Conv", {"as_table": (1e-16, 1e-12)}, N),
        ("E-Conv", {"as_table": (1e-12, 1e-16)}, N),
        ("E-Conv", {"as_table_single": 0.999e-6}, R),
        ("E-Conv", {"as_table_single": 1e-6}, N),
        ("E-Conv", {"parameters": 13}, N),
        ("B-Eq1", {"written_out": 1e-12}, N),
        ("B-Eq1", {"unmoved": 1}, N),
        ("B-Eq1", {"moved": 1}, N),
        ("E-Bwd1", {"input_autograd": 1e-12}, N),
        ("E-Bwd1", {"input_differences": (0.999e-6, 0.0, 0.0, 0.0)}, R),
        ("E-Bwd1", {"input_differences": (0.0, 0.0, 0.0, 1e-6)}, N),
        ("E-Bwd2", {"second_terms": (0.5e-12, 0.0, 0.0)}, R),
        ("E-Bwd2", {"second_terms": (0.0, 2.1e-12, 0.0)}, N),
        ("E-Bwd2", {"second_terms": (0.0, -2.1e-12, 0.0)}, N),
        ("E-Bwd2", {"second_terms": (0.0, 0.0, 1e-300)}, N),
        ("E-Bwd2", {"second_terms": (0.0, math.inf, 0.0)}, N),
        ("E-Bwd3", {"parameters_autograd": 1e-12}, N),
        ("E-Bwd3", {"parameters_differences": (0.999e-6, 0.0)}, R),
        ("E-Bwd3", {"parameters_differences": (0.0, 1e-6)}, N),
        ("E-Bwd4", {"compact": 1e-12}, N),
        ("E-Bwd4", {"singular": 1e-12}, N),
        ("E-Cost", {"time_slopes": (0.7, 1.3)}, R),
        ("E-Cost", {"time_slopes": (0.699, 1.3)}, P),
        ("E-Cost", {"time_slopes": (0.7, 1.301)}, P),
        ("E-Cost", {"time_slopes": (0.1, 2.0)}, N),
        ("E-Plc", {"bias_shares": (1e-12, 0.1, 0.1)}, N),
        ("E-Plc", {"bias_shares": (0.0, 1e-6, 0.1)}, N),
        ("E-Plc", {"bias_shares": (0.0, 0.1, 1e-6)}, N),
        ("E-Plc", {"means_seen": (1e-12, 0.2, 0.3)}, N),
        ("E-Plc", {"means_seen": (0.0, 1e-6, 0.3)}, N),
        ("E-Plc", {"means_seen": (0.0, 0.2, 1e-6)}, N),
        ("E-Batch", {"one_is_beta": False}, N),
        ("E-Batch", {"two": 1e-12}, N),
    ],
)
def test_each_number_decides_at_its_threshold(claim, changes, expected):
    assert decided(claim, **changes) == expected


@pytest.mark.parametrize(("falling", "expected"), [(5, R), (4, P), (3, N), (0, N)])
def test_mini_batches_of_m_alone_decide(falling, expected):
    found = verdicts.quick(GOOD, tables(falling))[-1]
    assert (found.id, found.verdict, found.seeds) == ("E-Batch", expected, 5)
    (full,) = verdicts.full(GOOD, tables(falling), "MNIST")
    assert (full.verdict, full.scale, full.data) == (expected, "full", "MNIST")
    assert found.interval == (-1.0 if falling else 1.0, 1.0 if falling < 5 else -1.0)
    assert f"BN, mini-batches of m {found.statistic:+.2f} (falls in {falling})" in found.measured


def test_an_error_that_never_changes_does_not_fall():
    flat = tables() | {"batch_norm": arm("batch_norm", [(0.2, 0.2, 0.2)] + [FALLS] * 4)}
    assert verdicts.quick(GOOD, flat)[-1].verdict == P


def test_a_channel_without_gradient_decides_nothing():
    (found,) = (v for v in verdicts.quick(GOOD, tables()) if v.id == "E-Bwd2")
    assert found.statistic == 2e-16
    assert "1.0e-16 beside 2.0e+00" in found.measured
    assert "in 2 of 3 channels" in found.measured
    assert "0 of 3 channels" in refusal(replace(GOOD, first_terms=(0.0, 0.0, 0.0)), tables())
    assert "terms of dL/dmu" in refusal(replace(GOOD, second_terms=(0.0, 0.0)), tables())


@pytest.mark.parametrize("name", [field.name for field in fields(verdicts.Found) if field.name != "title"])
def test_what_is_not_a_number_is_an_error(name):
    value = getattr(GOOD, name)
    several = isinstance(value, tuple)
    lost = replace(GOOD, **{name: (*value[:-1], math.nan) if several else math.nan})
    assert refusal(lost, tables()).startswith(f"{name}: 1 of {len(value) if several else 1} values are not a number")
    with pytest.raises(LedgerError):
        verdicts.full(lost, tables(), "MNIST")


def without(name: str, keep: slice) -> dict[str, pd.DataFrame]:
    made = tables()
    return made | {name: made[name].iloc[keep]}


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ({name: table for name, table in tables().items() if name != "no_norm"}, "no 'no_norm' in them"),
        (without("groups", slice(0)), "groups: no row"),
        (without("batch_norm", slice(1, None)), "1 runs are lost"),
        (without("dense_groups", slice(3, None)), "1 runs are lost"),
        (tables() | {"groups": tables()["groups"].assign(test_error=math.nan)}, "15 of 15 values are not a number"),
        (tables(falling=4, seeds=4), "at least five paired seeds, not 4"),
        (tables(falling=1, seeds=1), "at least five paired seeds, not 1"),
    ],
)
def test_missing_arms_lost_runs_and_too_few_seeds_are_errors(of, words):
    assert words in refusal(GOOD, of)


def test_every_word_that_is_said(as_said, uneven):
    made = uneven(tables(4))
    as_said(quick=verdicts.quick(GOOD, made), full=verdicts.full(GOOD, made, "MNIST"))
