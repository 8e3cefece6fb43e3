"""What chapter 02 decides, handed numbers and tables on both sides of every criterion."""

import math
from dataclasses import fields, replace

import pandas as pd
import pytest

from bnlab.chapters.ch02_inference_and_noise import comparisons, regularisation, verdicts
from bnlab.chapters.ch02_inference_and_noise.inference import SCHEDULES, UNITS
from bnlab.claims.ledger import LedgerError
from bnlab.tables import table

R, N, P = "reproduced", "not reproduced", "partly"
GOOD = verdicts.Found(
    title="digits",
    companies=60,
    same_bits=True,
    differ=True,
    variances_eval=(0.0, 0.0),
    variances_train=(0.1, 0.2),
    constant=True,
    unreliable=(1.01, 0.99, 1.0),
    independent=(1.0, 2.0, 0.5),
    enumerated=1e-16,
    between=(0.5, 0.25),
    printed=(0.7, 0.8, 0.9),
    pooled=(1.0, 1.001, 0.999),
    averages=(1e-15, 1e-15),
    mistaken=(3.0, 4.0),
    folded_single=1e-7,
    folded_double=1e-16,
)
ASKED = {"decay": 0.9, "target": 0.05, "error": 0.1, "seed": 0}


def noise(drawn: float = 0.1, exact: float = 0.1) -> pd.DataFrame:
    """Deviations by x and m; those that the criterion looks at are as given, the closed form is 0.1."""
    far = [(3.0, 32, 0.3, 0.295, 0.415), (3.0, 128, 9.0, 9.0, 0.1), (1.0, 64, 9.0, 9.0, 0.1)]
    near = [(1.0, 128, drawn, exact, 0.1), (0.0, 512, 0.1, 0.1, 0.1)]
    return pd.DataFrame([*far, *near], columns=["x", "m", "drawn", "exact", "closed_form"])


def mismatch(after: list[dict[int, float]], constant: list[float], diverged: bool = False) -> dict[str, pd.DataFrame]:
    """Mismatch at the end, a dict (by m) or a number a seed; earlier stages and the other decay say the opposite."""
    decayed = [(seed, m, off) for seed, by_m in enumerate(after) for m, off in by_m.items()]
    sides = {"decayed": decayed, "constant": [(seed, 16, off) for seed, off in enumerate(constant)]}
    made = {}
    for name, found in sides.items():
        rows = []
        for seed, m, off in found:
            rows += [(SCHEDULES[name], m, seed, stage, 0.1, decay, 50.0 / m, 0.1, 0.1, False)
                     for stage, decay in ((0, 0.9), (2, 0.99))]  # fmt: skip
            rows.append((SCHEDULES[name], m, seed, 2, 0.1, 0.9, off, 0.1, 0.1, diverged))
        made[f"mismatch_{name}"] = table(rows, UNITS)
    return made


def course(arm: str, gaps: list[float]) -> pd.DataFrame:
    """Curves of one arm that get to a training loss of 0.05 in two epochs (nan: never) with these gaps, one a seed."""
    rows = []
    for seed, gap in enumerate(gaps):
        ends = (0.5, 0.2) if math.isnan(gap) else (0.5, 0.05)
        rows += [(regularisation.ARMS[arm], seed, epoch, loss, loss + gap, 0.1, 0.1) for epoch, loss in enumerate(ends)]
    return table(rows, regularisation.CURVES)


def race(without: float = 100, with_bn: float = 20, seeds: int = 5) -> dict[str, pd.DataFrame]:
    """Steps of the race; at the other rate nobody arrives."""
    return {
        f"race_{arm}": table(
            [
                (regularisation.ARMS[arm], rate, seed, needed)
                for seed in range(seeds)
                for rate, needed in ((0.1, steps), (1.0, math.inf))
            ],
            regularisation.RACES,
        )
        for arm, steps in (("none", without), ("batch", with_bn))
    }


def tables(**changes: object) -> dict[str, pd.DataFrame]:
    """Everything that the verdicts read; the criteria are met unless it is changed."""
    settled = {4: 0.009, 16: 0.005, 48: 0.001}
    found = mismatch([settled] * 5, [0.02] * 5)
    gaps = dict.fromkeys(regularisation.ARMS, 0.3) | {"batch": 0.1}
    found |= {f"curves_{arm}": course(arm, [gap] * 5) for arm, gap in gaps.items()}
    return found | race() | changes


@pytest.fixture
def no_bootstrap(monkeypatch):
    """Sum up no differences: it takes most of the time, and decides nothing."""
    monkeypatch.setattr(verdicts, "in_words", lambda difference, seed: comparisons.Difference("not summed up"))
    monkeypatch.setattr(verdicts, "race", lambda results, seed: comparisons.Race("not summed up", {}))


def decided(claim: str, of: dict | None = None, seen: pd.DataFrame | None = None, **changes: object) -> str:
    found = verdicts.quick(replace(GOOD, **changes), noise() if seen is None else seen, of or tables(), **ASKED)
    return {v.id: v.verdict for v in found}[claim]


def refusal(of: dict | None = None, seen: pd.DataFrame | None = None, found: verdicts.Found = GOOD) -> str:
    with pytest.raises(LedgerError) as caught:
        verdicts.quick(found, noise() if seen is None else seen, of or tables(), **ASKED)
    return str(caught.value)


def test_what_must_pass_passes():
    found = verdicts.quick(GOOD, noise(), tables(), **ASKED)
    assert len({v.id for v in found}) == len(found) == 11
    others = {"E-Inf1": P, "E-Inf2": "corrected", "E-Noise2": P, "E-14x": "not run at full scale"}
    assert {v.id: v.verdict for v in found if v.verdict != R} == others
    assert {v.scale for v in found} == {"quick"}


@pytest.mark.parametrize(
    ("claim", "changes", "expected"),
    [
        ("E-Inf1", {"independent": (0.0, 3.99, 0.0)}, P),
        ("E-Inf1", {"independent": (0.0, 4.0, 0.0)}, N),
        ("E-Inf1", {"independent": (0.0, 0.0, math.inf)}, N),
        ("E-Inf1", {"enumerated": 1e-12}, N),
        ("E-Inf1", {"between": (0.5, 1e-12)}, P),
        ("E-Inf1", {"between": (0.5, 0.0)}, R),
        ("E-Inf2", {"printed": (0.981, 1.019, 1.0)}, R),
        ("E-Inf2", {"printed": (0.979, 1.0, 1.0)}, "corrected"),
        ("E-Inf2", {"printed": (1.0, 1.0, 1.021)}, "corrected"),
        ("E-Inf2", {"pooled": (0.979, 1.0, 1.0)}, N),
        ("E-Inf2", {"pooled": (1.0, 1.0, 1.021)}, N),
        ("E-Inf3", {"averages": (0.0, 1e-12)}, N),
        ("E-Inf3", {"averages": (0.0, 0.999e-12)}, R),
        ("E-Inf3", {"mistaken": (3.0, 1e-3)}, N),
        ("E-Inf3", {"mistaken": (1.001e-3, 3.0)}, R),
        ("E-Inf4", {"same_bits": False}, N),
        ("E-Inf4", {"differ": False}, N),
        ("E-Inf5", {"folded_single": 1e-5}, N),
        ("E-Inf5", {"folded_single": 0.999e-5, "folded_double": 0.999e-12}, R),
        ("E-Inf5", {"folded_double": 1e-12}, N),
        ("E-Inf5", {"folded_double": math.inf}, N),
        ("E-Inf7", {"constant": False}, N),
        ("E-Inf7", {"unreliable": (1.0, 1.049, 0.951)}, R),
        ("E-Inf7", {"unreliable": (1.0, 1.051, 1.0)}, N),
        ("E-Inf7", {"unreliable": (0.949, 1.0, 1.0)}, N),
        ("E-Noise3", {"variances_eval": (0.0, 1e-300)}, N),
        ("E-Noise3", {"variances_train": (0.1, 0.0)}, N),
    ],
)
@pytest.mark.usefixtures("no_bootstrap")
def test_each_number_decides_at_its_threshold(claim, changes, expected):
    assert decided(claim, **changes) == expected


@pytest.mark.parametrize(
    ("drawn", "exact", "expected"),
    [(0.1029, 0.0971, R), (0.1031, 0.1, N), (0.1, 0.0969, N), (0.0969, 0.1, N), (0.1, math.inf, N)],
)
@pytest.mark.usefixtures("no_bootstrap")
def test_noise_is_judged_near_the_mean_and_for_many_images(drawn, exact, expected):
    assert decided("E-Noise1", seen=noise(drawn, exact)) == expected


@pytest.mark.parametrize(
    ("after", "constant", "expected"),
    [
        ([{4: 0.0099, 16: 0.005, 48: 0.001}] * 5, [0.02] * 5, R),
        ([{4: 0.01, 16: 0.005, 48: 0.001}] * 5, [0.02] * 5, P),  # (a) fails at one size
        ([{4: 0.009, 16: 0.005, 48: 0.001}] * 5, [0.02] * 4 + [0.005], P),  # (b) in four seeds
        ([{4: 0.009, 16: 0.005, 48: 0.001}] * 5, [0.02] * 3 + [0.005, 0.004], N),
        ([{4: 0.009, 16: 0.005, 48: 0.001}] * 4 + [{4: 0.001, 16: 0.005, 48: 0.001}], [0.02] * 5, P),  # (c) in four
        ([{4: 0.009, 16: 0.005, 48: 0.001}] * 3 + [{4: 0.001, 16: 0.005, 48: 0.002}] * 2, [0.02] * 5, N),
        ([{4: 0.5, 16: 0.005, 48: 0.001}] * 5, [math.inf] * 5, P),
    ],
)
@pytest.mark.usefixtures("no_bootstrap")
def test_mismatch_is_judged_at_the_end_for_the_decay_asked(after, constant, expected):
    of = tables(**mismatch(after, constant))
    assert decided("E-Inf6", of) == expected
    chosen = {"decays": [0.9, 0.99], "target_loss": 0.05, "race_error": 0.03, "seed": 0}
    full = verdicts.full(of, chosen, "MNIST")[0]
    assert (full.id, full.verdict, full.scale, full.data) == ("E-Inf6", expected, "full", "MNIST")
    assert full.statistic == max(max(by_m.values()) for by_m in after)


def test_runs_that_diverged_are_reported_not_compared():
    of = tables(**mismatch([{4: math.nan, 48: math.nan}] * 5, [math.nan] * 5, diverged=True))
    (found,) = (v for v in verdicts.quick(GOOD, noise(), of, **ASKED) if v.id == "E-Inf6")
    assert (found.verdict, found.statistic) == ("reported", None)
    assert "15 of 15 runs diverged" in found.measured


@pytest.mark.parametrize(
    ("gaps", "quick", "full"),
    [
        ([0.3] * 5, P, R),  # a quick setting that was settled after a look cannot pass
        ([0.3] * 4 + [0.1], P, P),  # equal is not larger
        ([0.3] * 3 + [0.0] * 2, N, N),
        ([0.3] * 4 + [math.nan], "reported", "reported"),
        ([math.nan] * 5, "reported", "reported"),
    ],
)
def test_regularisation_is_a_paired_trend_and_untested_is_not_failed(gaps, quick, full):
    of = tables(curves_population=course("population", gaps))
    (found,) = (v for v in verdicts.quick(GOOD, noise(), of, **ASKED) if v.id == "E-Noise2")
    assert found.verdict == quick
    assert ("not confirmed" in found.measured) == (quick == N)
    assert (found.statistic is None) == (found.interval is None) == (quick == "reported")
    assert (
        verdicts.full(of, {"decays": [0.9], "target_loss": 0.05, "race_error": 0.03, "seed": 0}, "MNIST")[1].verdict
        == full
    )


def test_the_difference_shown_is_noise_free_minus_batch_statistics():
    (found,) = (v for v in verdicts.quick(GOOD, noise(), tables(), **ASKED) if v.id == "E-Noise2")
    assert found.statistic == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.2, 0.2))
    assert found.measured.startswith("noise-free minus batch statistics +0.2 nats [+0.2, +0.2], positive in 5 of 5")
    assert "groups of four -0.2 nats" in found.measured
    assert "dropout +0 nats" in found.measured


def test_a_race_is_reported_each_side_at_its_best_rate():
    found = verdicts.quick(GOOD, noise(), tables(), **ASKED)[-1]
    assert (found.id, found.verdict) == ("E-14x", "not run at full scale")
    assert found.statistic == pytest.approx(5.0)
    assert "5 times fewer steps [5, 5] to 90% test accuracy" in found.measured
    lost = verdicts.quick(GOOD, noise(), tables(**race(with_bn=math.inf)), **ASKED)[-1]
    assert (lost.statistic, lost.interval) == (None, None)
    assert "not all runs got there" in lost.measured
    assert comparisons.race(pd.concat(race().values()), 0).best == {"neither": 0.1, "BN, batch statistics": 0.1}


@pytest.mark.parametrize("name", [field.name for field in fields(verdicts.Found) if field.name != "title"])
def test_what_is_not_a_number_is_an_error(name):
    value = getattr(GOOD, name)
    lost = (*value[:-1], math.nan) if isinstance(value, tuple) else math.nan
    assert refusal(found=replace(GOOD, **{name: lost})).startswith(f"{name}: 1 of ")


def without(name: str, where: str, value: object) -> dict[str, pd.DataFrame]:
    """The tables without the rows of one of them in which a column has a value."""
    of = tables()
    return of | {name: of[name][of[name][where] != value]}


def missing(name: str) -> dict[str, pd.DataFrame]:
    return {key: value for key, value in tables().items() if key != name}


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (missing("mismatch_constant"), "no 'mismatch_constant' in them"),
        (missing("curves_ghost"), "no 'curves_ghost' in them"),
        (missing("race_batch"), "no 'race_batch' in them"),
        (without("mismatch_decayed", "schedule", SCHEDULES["decayed"]), "no row with schedule"),
        (without("mismatch_decayed", "decay", 0.9), "no row with schedule"),
        (tables(mismatch_decayed=tables()["mismatch_decayed"].iloc[:0]), "no row with schedule"),
        (without("mismatch_constant", "seed", 2), "1 runs are lost"),
        (without("curves_population", "seed", 2), "population and batch: runs are lost"),
        (without("curves_ghost", "seed", 2), "batch and ghost: runs are lost"),
        (without("curves_batch", "arm", regularisation.ARMS["batch"]), "batch: no row"),
        (without("race_none", "seed", 2), "2 runs are lost"),
        (tables(**mismatch([{4: math.nan, 16: 0.1}] * 5, [0.1] * 5)), "values are not a number"),
        (tables(**mismatch([{4: 0.1, 16: 0.1}] * 4, [0.1] * 4)), "at least five paired seeds, not 4"),
        (
            tables(**{f"curves_{arm}": course(arm, [0.1] * 4) for arm in regularisation.ARMS}),
            "five paired seeds, not 4",
        ),
        (tables(**race(without=math.nan)), "values are not a number"),
    ],
)
def test_missing_arms_lost_runs_and_too_few_seeds_are_errors(of, words):
    assert words in refusal(of)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (noise().query("m < 128"), "noise near the mean"),
        (noise().query("x != 3"), "noise: no row with x = 3.0"),
        (noise(drawn=math.nan), "drawn: 1 of 2"),
        (noise(exact=math.nan), "exact: 1 of 2"),
    ],
)
def test_noise_that_was_not_measured_is_an_error(seen, words):
    assert words in refusal(seen=seen)


def test_the_recorded_race_is_told_and_passes_nothing():
    given = {"decays": [0.9], "target_loss": 0.05, "race_error": 0.03, "seed": 0}
    race = verdicts.full(tables(), given, "MNIST")[2]
    assert (race.id, race.verdict, race.data) == ("E-14x", "not run at full scale", "MNIST")
    assert "times fewer steps" in race.measured
    assert "to 97% test accuracy" in race.measured


def test_every_word_that_is_said(as_said, uneven):
    given = {"decays": [0.9], "target_loss": 0.05, "race_error": 0.03, "seed": 0}
    made = uneven(tables() | {"noise": noise()})
    as_said(quick=verdicts.quick(GOOD, made["noise"], made, **ASKED), full=verdicts.full(made, given, "MNIST"))
