"""What chapter 03 decides, handed numbers and tables on both sides of every criterion."""

import math
from dataclasses import fields, replace

import pandas as pd
import pytest

from bnlab.chapters.ch03_adaptive_filter import verdicts
from bnlab.claims.ledger import LedgerError

R, N, P, C = "reproduced", "not reproduced", "partly", "corrected"
GOOD = verdicts.Found(
    title="digits",
    hand_autograd=(1e-15, 2e-15),
    hand_differences=(1e-10, 2e-10),
    printed=(1.5, 2.0),
    corrected=(0.4, 0.5),
    missed=(2.5, 3.0),
    met=(1e-15, 2e-15, 0.0),
    shares_apart=1e-17,
    positions=(576, 784, 64, 100),
    patches_shape=(150, 100),
    outputs_shape=(16, 100),
    errors_shape=(16, 100),
    identity=1e-12,
    steps=60,
)
SEEDS = range(3)


def shares(conv1=(0.51, 0.56), conv2=(0.11, 0.18)) -> pd.DataFrame:
    found = zip(verdicts.LAYERS, (*conv1, *conv2), strict=True)
    return pd.DataFrame([(*layer, share) for layer, share in found], columns=["layer", "size", "share"])


def coupled(plain: float = 0.0, with_bn: float = 0.01) -> pd.DataFrame:
    """Slopes among three images: 2 within an image, as given between them (in one pair of them; else half as much)."""
    rows = []
    for arm, slope in ((verdicts.PLAIN, plain), (verdicts.NORMALISED, with_bn)):
        for output in range(3):
            between = [slope if (output, other) == (2, 0) else slope / 2 for other in range(3)]
            rows += [(arm, output, other, 2.0 if output == other else between[other]) for other in range(3)]
    return pd.DataFrame(rows, columns=["arm", "output", "input", "norm"])


def channels(none: float = 0.0, batch: float = 0.0) -> pd.DataFrame:
    rows = [("none", none, 0.3), ("batch", batch, 0.4)]
    return pd.DataFrame(rows, columns=["norm", "at given errors", "errors recomputed"])


def equation_1(autograd=1e-14, differences=1e-8, weights=30, as_defined=2.0) -> pd.DataFrame:
    """Every layer and seed alike but the last, which is as given."""
    rows = [(layer, seed, 1e-15, 1e-9, 25, 2.0) for layer in verdicts.COMPARED for seed in SEEDS]
    rows[-1] = (*rows[-1][:2], autograd, differences, weights, as_defined)
    return pd.DataFrame(rows, columns=["layer", "seed", "autograd", "differences", "weights", "with E = D − Y"])


def downstream(last: bool = True, off: float = 0.0) -> pd.DataFrame:
    rows = [(layer, seed, True, 0.0) for layer in ("conv1", "conv2") for seed in SEEDS]
    rows[-1] = (*rows[-1][:2], last, off)
    return pd.DataFrame(rows, columns=["layer", "seed", "identical", "largest difference"])


def moved(others: float = 5.0, last: float = 0.5) -> pd.DataFrame:
    rows = [(network, seed, others) for network in verdicts.FOLLOWED for seed in SEEDS]
    rows[-1] = (*rows[-1][:2], last)
    return pd.DataFrame(rows, columns=["network", "seed", "drift"])


def restructured(torch: float = 1e-14, definition: float = 1e-14) -> pd.DataFrame:
    return pd.DataFrame({"torch": [0.0, torch], "definition": [0.0, definition]})


TABLES = verdicts.Tables(
    shares=shares(),
    restructured=restructured(),
    coupled=coupled(),
    channels=channels(),
    equation_1=equation_1(),
    downstream=downstream(),
    moved=moved(),
)


def refusal(found: verdicts.Found = GOOD, **tables: pd.DataFrame) -> str:
    with pytest.raises(LedgerError) as caught:
        verdicts.quick(found, replace(TABLES, **tables))
    return str(caught.value)


def test_what_must_pass_passes():
    found = verdicts.quick(GOOD, TABLES)
    assert {v.id: v.verdict for v in found} == {
        "C-2.1def": R, "C-2.1upd": C, "C-2.1d": C, "C-Fig1": P, "C-Fig2": R, "C-Shape": R, "C-Ind": P, "C-Eq1": C,
        "C-Loc": R, "C-D": P,
    }  # fmt: skip
    assert len(found) == 10


@pytest.mark.parametrize(
    ("claim", "changes", "expected"),
    [
        ("C-2.1def", {"hand_autograd": (0.0, 0.999e-12), "hand_differences": (0.999e-8,)}, R),
        ("C-2.1def", {"hand_autograd": (0.0, 1e-12)}, N),
        ("C-2.1def", {"hand_differences": (0.0, 1e-8)}, N),
        ("C-2.1def", {"hand_autograd": (0.0, math.inf)}, N),
        ("C-2.1upd", {"printed": (0.5, 0.9)}, R),
        ("C-2.1upd", {"printed": (0.5, 1.0)}, N),
        ("C-2.1upd", {"printed": (1.0, 2.0)}, N),
        ("C-2.1upd", {"printed": (0.9, 2.0)}, N),
        ("C-2.1upd", {"printed": (1.001, 2.0), "corrected": (0.1, 0.999)}, C),
        ("C-2.1upd", {"corrected": (0.1, 1.0)}, N),
        ("C-2.1upd", {"printed": (2.0, math.inf)}, C),
        ("C-2.1d", {"missed": (0.0, 0.999e-10)}, R),
        ("C-2.1d", {"missed": (0.0, 1e-10)}, C),
        ("C-2.1d", {"met": (0.0, 1e-10, 0.0)}, N),
        ("C-2.1d", {"met": (0.0, 0.0, 1e-10)}, N),
        ("C-Fig1", {"shares_apart": 1e-12}, N),
        ("C-Shape", {"positions": (576, 784, 64, 99)}, N),
        ("C-Shape", {"positions": (784, 576, 64, 100)}, N),
        ("C-Shape", {"patches_shape": (100, 150)}, N),
        ("C-Shape", {"outputs_shape": (6, 100)}, N),
        ("C-Shape", {"errors_shape": (16, 99)}, N),
        ("C-D", {"identity": 0.999e-10}, P),
        ("C-D", {"identity": 1e-10}, N),
        ("C-D", {"identity": math.inf}, N),
    ],
)
def test_each_number_decides_at_its_threshold(claim, changes, expected):
    found = verdicts.quick(replace(GOOD, **changes), TABLES)
    assert {v.id: v.verdict for v in found}[claim] == expected


@pytest.mark.parametrize(
    ("claim", "name", "table", "expected"),
    [
        ("C-Fig1", "shares", shares(conv2=(0.501, 0.51)), R),
        ("C-Fig1", "shares", shares(conv1=(0.5, 0.56)), N),
        ("C-Fig1", "shares", shares(conv1=(0.51, 0.5)), N),
        ("C-Fig1", "shares", shares(conv1=(0.5, 0.5), conv2=(0.6, 0.6)), P),
        ("C-Fig1", "shares", shares(conv1=(0.6, 0.5), conv2=(0.5, 0.6)), N),
        ("C-Fig1", "shares", shares(conv1=(0.6, 0.6), conv2=(0.5, 0.6)), P),
        ("C-Fig2", "restructured", restructured(torch=1e-12), N),
        ("C-Fig2", "restructured", restructured(definition=1e-12), N),
        ("C-Fig2", "restructured", restructured(0.999e-12, 0.999e-12), R),
        ("C-Ind", "coupled", coupled(with_bn=0.0), R),
        ("C-Ind", "coupled", coupled(plain=1e-300), N),
        ("C-Ind", "coupled", coupled(plain=1e-300, with_bn=0.0), N),
        ("C-Ind", "channels", channels(none=1e-300), N),
        ("C-Ind", "channels", channels(batch=1e-300), N),
        ("C-Eq1", "equation_1", equation_1(autograd=1e-10), N),
        ("C-Eq1", "equation_1", equation_1(differences=1e-6), N),
        ("C-Eq1", "equation_1", equation_1(0.999e-10, 0.999e-6, 1), C),
        ("C-Eq1", "equation_1", equation_1(as_defined=0.0), C),  # in one layer and seed of nine
        ("C-Eq1", "equation_1", equation_1().assign(**{"with E = D − Y": 0.999e-10}), R),
        ("C-Eq1", "equation_1", equation_1().assign(**{"with E = D − Y": 1e-10}), C),
        ("C-Loc", "downstream", downstream(last=False, off=1e-17), N),
        ("C-D", "moved", moved(0.09, 0.0999), R),
        ("C-D", "moved", moved(0.09, 0.1), P),
        ("C-D", "moved", moved(0.1, 0.09), P),
    ],
)
def test_each_table_decides_at_its_threshold(claim, name, table, expected):
    found = verdicts.quick(GOOD, replace(TABLES, **{name: table}))
    assert {v.id: v.verdict for v in found}[claim] == expected


def test_statistics_are_those_of_the_criteria():
    found = {v.id: v for v in verdicts.quick(GOOD, TABLES)}
    assert found["C-2.1upd"].statistic == 1.5
    assert found["C-2.1d"].statistic == 2.5
    assert found["C-Fig1"].statistic == 0.11
    assert found["C-Ind"].statistic == pytest.approx(0.0025)
    assert found["C-D"].statistic == 0.5
    assert {found[name].seeds for name in ("C-Eq1", "C-Loc", "C-D")} == {3}
    assert "0.25 % of within" in found["C-Ind"].measured
    assert "median 500 % (softmax layer), 500 % (LeNet, conv2)" in found["C-D"].measured


@pytest.mark.parametrize("name", [field.name for field in fields(verdicts.Found) if field.name != "title"])
def test_what_is_not_a_number_is_an_error(name):
    value = getattr(GOOD, name)
    lost = (*value[:-1], math.nan) if isinstance(value, tuple) else math.nan
    assert refusal(replace(GOOD, **{name: lost})).startswith(f"{name}: 1 of ")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"shares": shares().query("size != 14")}, "shares: no row with layer = 'conv2', size = 14"),
        ({"shares": shares(conv1=(math.nan, 0.5))}, "shares: 1 of 4"),
        ({"restructured": restructured(definition=math.nan)}, "product and convolution: 1 of 4"),
        ({"restructured": restructured()[:0]}, "product and convolution: no number"),
        ({"coupled": coupled().query("arm == 'convolution'")}, "no row with arm = 'convolution + BN'"),
        ({"coupled": coupled().query("output == input")}, "coupling, convolution: no number"),
        ({"coupled": coupled(with_bn=math.nan)}, "coupling, convolution + BN: 6 of 6"),
        ({"channels": channels(none=math.nan)}, "channels: 1 of 2"),
        ({"channels": channels()[1:]}, "no row with norm = 'none'"),
        ({"equation_1": equation_1(autograd=math.nan)}, "autograd: 1 of 9"),
        ({"equation_1": equation_1(as_defined=math.nan)}, "1 of 9"),
        ({"equation_1": equation_1(weights=0, differences=math.nan)}, "has no weight whose small step"),
        ({"equation_1": equation_1().query("layer != 'own layer'")}, "no run of layer = 'own layer'"),
        ({"equation_1": equation_1()[:-1]}, "1 runs are lost"),
        ({"downstream": downstream()[:-1]}, "1 runs are lost"),
        ({"downstream": downstream().query("layer == 'conv1'")}, "no run of layer = 'conv2'"),
        ({"downstream": downstream(off=math.nan)}, "1 of 6"),
        ({"moved": moved()[:-1]}, "1 runs are lost"),
        ({"moved": moved(last=math.nan)}, "1 of 6"),
        ({"moved": moved().query("network == 'softmax layer'")}, "no run of network = 'LeNet, conv2'"),
    ],
)
def test_missing_arms_and_lost_runs_are_errors(tables, words):
    assert words in refusal(**tables)


def test_every_word_that_is_said(as_said):
    as_said(quick=verdicts.quick(GOOD, TABLES))
