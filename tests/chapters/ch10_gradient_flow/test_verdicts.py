"""Chapter 10's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bnlab.chapters.ch10_gradient_flow import flow_verdicts, network_verdicts, verdicts
from bnlab.claims.ledger import LedgerError

LAYERS = np.arange(21)
RELU_BN = math.pi / (math.pi - 1)
LOG_RATE, HALF = math.log(RELU_BN), -math.log(2)
GAIN_1, HE = flow_verdicts.GAIN_1, flow_verdicts.HE


def runs(*networks, seeds=5):
    """Profiles of networks (activation, weights, arm, ln of the squared gradient by layer)."""
    made = [
        pd.DataFrame(
            {
                "activation": activation,
                "weights": weights,
                "arm": arm,
                "seed": seed,
                "layer": LAYERS,
                "gradient": np.exp(heights),
                "parameters": 1.0,
                "power": 1.0,
            }
        )
        for activation, weights, arm, heights in networks
        for seed in range(seeds)
    ]
    return pd.concat(made, ignore_index=True)


def falls(rate):
    """Nats a layer towards the input."""
    return -rate * LAYERS


def power(exponent):
    return -exponent * np.log(LAYERS + 1.0)


def rectifiers(small=HALF, he=0.0, bn=LOG_RATE, seeds=5):
    return runs(
        ("relu", GAIN_1, "none", falls(small)),
        ("relu", HE, "none", falls(he)),
        ("relu", HE, "BN", falls(bn)),
        seeds=seeds,
    )


def images(seeds=5, flat=0.036, **other):
    slopes = {"linear": (0.0, 0.01), "tanh": (-0.04, 0.2), "relu": (-0.7, 0.4)} | other
    networks = [
        (activation, GAIN_1, arm, falls(rate))
        for activation, pair in slopes.items()
        for arm, rate in zip(("none", "BN"), pair, strict=True)
    ]
    return runs(*networks, ("linear", "orthogonal", "BN", falls(flat)), seeds=seeds)


def residual(with_bn=None, seeds=5):
    heights = power(1.4) if with_bn is None else with_bn
    return runs(("relu", HE, "skip + BN", heights), ("relu", HE, "skip", falls(0.7)), seeds=seeds)


def profiles(flat=0.005, gaussian=LOG_RATE, seeds=5):
    return runs(("linear", "orthogonal", "BN", falls(flat)), ("relu", HE, "BN", falls(gaussian)), seeds=seeds)


def spectra(bn=(0.1, 0.2, 1.0, 9.0), none=(0.1, 0.7, 1.0, 1.5), seeds=5):
    rows = [
        (depth, norm, seed, rank, value)
        for depth in (1, 10)
        for norm, values in (("none", none), ("batch", bn))
        for seed in range(seeds)
        for rank, value in enumerate((*values, 0.0), 1)
    ]
    return pd.DataFrame(rows, columns=["depth", "norm", "seed", "rank", "value"])


def shattering(none=None, both=None, seeds=5):
    depth = np.arange(1.0, 31)
    curves = {
        "none": np.exp(-0.01 * depth) if none is None else none,
        "BN": np.exp(-0.3 * depth) - 0.05,
        "skip": np.exp(-0.001 * depth),
        "skip + BN": depth**-0.1 if both is None else both,
    }
    made = [
        pd.DataFrame({"arm": arm, "seed": seed, "depth": depth.astype(int), "correlation": curve})
        for arm, curve in curves.items()
        for seed in range(seeds)
    ]
    return pd.concat(made, ignore_index=True)


PLACES = np.arange(1.0, 7)


def streams(exponent=1.0, grown=1e6, gradient=1e6, zero=0.5, zero_gradient=0.2, seeds=5):
    ends = {"BN": (30.0, 1e3), "none": (grown, gradient), "SkipInit": (1.5, 0.5), "zero": (zero, zero_gradient)}
    shares = {"BN": PLACES**-exponent, "none": np.full(6, 0.6), "SkipInit": np.full(6, 0.03), "zero": np.zeros(6)}
    rows = []
    for arm, (last, first) in ends.items():
        for seed in range(seeds):
            rows.append((arm, seed, 0, 1, 0, 1.0, first, math.nan))
            for block in range(1, 19):
                stage, place = divmod(block - 1, 6)
                at = block / 18
                rows.append((arm, seed, block, stage + 1, place + 1, last**at, first ** (1 - at), shares[arm][place]))
    columns = ["arm", "seed", "block", "stage", "place", "power", "gradient", "share"]
    return pd.DataFrame(rows, columns=columns)


GOOD = {
    "rectifiers": rectifiers(),
    "images": images(),
    "residual": residual(),
    "profiles": profiles(),
    "spectra": spectra(),
    "shattering": shattering(),
    "streams": streams(),
}


def found(corrected=1e-15, scaled=0.3, printed=99.0, jacobian=1e-13, seeds=5):
    return verdicts.Found(jacobian, [corrected] * seeds, [scaled] * seeds, [printed] * seeds)


def changed(table, value, column, **where):
    wanted = {name: v if isinstance(v, list) else [v] for name, v in where.items()}
    at = table[list(where)].isin(wanted).all(axis=1)
    assert at.any()
    return table.assign(**{column: table[column].where(~at, value)})


JUDGES = {
    "E-Van": (flow_verdicts.vanishing, "rectifiers"),
    "E-BNexp": (flow_verdicts.exploding, "rectifiers"),
    "E-90": (flow_verdicts.ninety, "images"),
    "E-Res": (flow_verdicts.stable, "residual"),
    "L-Ortho": (flow_verdicts.orthogonal, "profiles", "images"),
    "E-Sing": (lambda table: network_verdicts.clustered(table, 1e-13), "spectra"),
    "L-Shatter": (network_verdicts.shattered, "shattering"),
    "C-Zhang": (network_verdicts.remedied, "streams"),
    "L-Share": (network_verdicts.shares, "streams"),
}


def verdict(claim, **other):
    judge, *names = JUDGES[claim]
    assert set(other) <= set(names)
    one = judge(*((GOOD | other)[name] for name in names))
    assert one.id == claim
    return one.verdict


def test_everything_is_judged_once():
    quick = verdicts.quick(found(), GOOD, "toy")
    assert [(one.id, one.verdict) for one in quick] == [
        ("E-1sig", "corrected"),
        ("E-Van", "reproduced"),
        ("E-BNexp", "refuted"),
        ("E-Sing", "refuted"),
        ("E-90", "reproduced"),
        ("E-Res", "reproduced"),
        ("C-Zhang", "reproduced"),
        ("L-Ortho", "reproduced"),
        ("L-Shatter", "reproduced"),
        ("L-Share", "reproduced"),
    ]
    full = verdicts.full(found(), GOOD, "MNIST")
    assert [(one.id, one.verdict) for one in full] == [(one.id, one.verdict) for one in quick[1:]]
    assert {one.scale for one in full} == {"full"}
    assert {one.id for one in full if one.data == "MNIST"} == {"E-Van", "E-BNexp", "E-90", "C-Zhang", "L-Share"}


def mixed(make, good, bad, count):
    """Seeds 0 ... 4 - count of the good table, the rest of the bad one."""
    first, second = make(**good), make(**bad)
    return pd.concat([first[first["seed"] < 5 - count], second[second["seed"] >= 5 - count]], ignore_index=True)


@pytest.mark.parametrize(
    ("claim", "table", "expected"),
    [
        ("E-Van", {"rectifiers": rectifiers(small=math.log(0.524))}, "reproduced"),
        ("E-Van", {"rectifiers": rectifiers(small=math.log(0.526))}, "not reproduced"),
        ("E-Van", {"rectifiers": rectifiers(small=math.log(0.474))}, "not reproduced"),
        ("E-Van", {"rectifiers": rectifiers(he=math.log(1.049))}, "reproduced"),
        ("E-Van", {"rectifiers": rectifiers(he=math.log(1.051))}, "not reproduced"),
        ("E-BNexp", {"rectifiers": rectifiers(bn=math.log(RELU_BN * 0.951))}, "refuted"),
        ("E-BNexp", {"rectifiers": rectifiers(bn=math.log(RELU_BN * 0.949))}, "reproduced"),
        ("E-BNexp", {"rectifiers": rectifiers(bn=0.0)}, "reproduced"),
        ("E-BNexp", {"rectifiers": mixed(rectifiers, {}, {"bn": math.log(1.29)}, 1)}, "reproduced"),
        ("E-90", {"images": images(relu=(-0.101, -0.019))}, "reproduced"),
        ("E-90", {"images": images(relu=(-0.7, -0.021))}, "not reproduced"),
        ("E-90", {"images": images(relu=(-0.099, 0.4))}, "not reproduced"),  # no decay, so none prevented
        ("E-90", {"images": images(relu=(-0.7, 0.0), tanh=(-0.04, 0.099))}, "not reproduced"),  # nothing grows
        ("E-90", {"images": mixed(images, {}, {"relu": (-0.7, -0.3)}, 1)}, "partly"),
        ("E-90", {"images": mixed(images, {}, {"relu": (-0.7, -0.3)}, 2)}, "not reproduced"),
        ("E-Res", {"residual": residual(falls(0.1))}, "not reproduced"),
        ("E-Res", {"residual": mixed(residual, {}, {"with_bn": falls(0.1)}, 1)}, "partly"),
        ("E-Res", {"residual": mixed(residual, {}, {"with_bn": falls(0.1)}, 2)}, "not reproduced"),
        ("L-Ortho", {"profiles": profiles(flat=0.0199)}, "reproduced"),
        ("L-Ortho", {"profiles": profiles(flat=-0.0199)}, "reproduced"),
        ("L-Ortho", {"profiles": profiles(flat=0.0201)}, "not reproduced"),
        ("L-Ortho", {"profiles": profiles(flat=-0.0201)}, "not reproduced"),
        ("L-Ortho", {"profiles": profiles(gaussian=0.901 * math.log(RELU_BN))}, "reproduced"),
        ("L-Ortho", {"profiles": profiles(gaussian=0.899 * math.log(RELU_BN))}, "not reproduced"),
        ("L-Ortho", {"profiles": profiles(gaussian=1.101 * math.log(RELU_BN))}, "not reproduced"),
        ("L-Ortho", {"profiles": mixed(profiles, {}, {"flat": 0.03}, 1)}, "partly"),
        ("E-Sing", {"spectra": spectra(bn=(0.1, 0.7, 1.0, 1.5))}, "refuted"),  # as many: no larger
        ("E-Sing", {"spectra": spectra(bn=(0.6, 0.7, 1.0, 1.5))}, "reproduced"),
        ("E-Sing", {"spectra": mixed(spectra, {}, {"bn": (0.6, 0.7, 1.0, 1.5)}, 1)}, "reproduced"),
        ("L-Shatter", {"shattering": shattering(none=np.arange(1.0, 31) ** -0.1)}, "not reproduced"),
        ("L-Shatter", {"shattering": shattering(both=np.exp(-0.01 * np.arange(1.0, 31)))}, "not reproduced"),
        ("L-Shatter", {"shattering": mixed(shattering, {}, {"none": np.arange(1.0, 31) ** -0.1}, 1)}, "partly"),
        ("C-Zhang", {"streams": streams(grown=1001.0)}, "reproduced"),
        ("C-Zhang", {"streams": streams(grown=999.0)}, "not reproduced"),
        ("C-Zhang", {"streams": streams(gradient=999.0)}, "not reproduced"),
        ("C-Zhang", {"streams": streams(zero=9.9, zero_gradient=9.9)}, "reproduced"),
        ("C-Zhang", {"streams": streams(zero=10.1)}, "not reproduced"),
        ("C-Zhang", {"streams": streams(zero=0.099)}, "not reproduced"),
        ("C-Zhang", {"streams": streams(zero_gradient=10.1)}, "not reproduced"),
        ("C-Zhang", {"streams": mixed(streams, {}, {"grown": 10.0}, 1)}, "partly"),
        ("L-Share", {"streams": streams(exponent=1.19)}, "reproduced"),
        ("L-Share", {"streams": streams(exponent=0.81)}, "reproduced"),
        ("L-Share", {"streams": streams(exponent=1.21)}, "not reproduced"),
        ("L-Share", {"streams": streams(exponent=0.79)}, "not reproduced"),
        ("L-Share", {"streams": mixed(streams, {}, {"exponent": 0.3}, 1)}, "partly"),
    ],
)
def test_criteria(claim, table, expected):
    assert verdict(claim, **table) == expected


def test_a_stream_without_end_is_nothing_to_report():
    with pytest.raises(LedgerError, match="infinite"):
        verdict("C-Zhang", streams=changed(streams(), math.inf, "power", arm="none", block=18))


def test_a_bent_profile_is_no_exponential():
    bent = runs(
        ("relu", GAIN_1, "none", falls(math.log(0.5)) + 8 * np.sin(LAYERS)),
        ("relu", HE, "none", falls(0.0)),
        ("relu", HE, "BN", falls(0.4)),
    )
    assert verdict("E-Van", rectifiers=bent) == "not reproduced"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"corrected": 0.99e-10}, "corrected"),
        ({"corrected": 1.01e-10}, "not reproduced"),
        ({"printed": 0.99e-9}, "reproduced"),
        ({"printed": 1.01e-9}, "corrected"),
        ({"printed": math.inf}, "corrected"),
    ],
)
def test_double_counting(given, expected):
    assert flow_verdicts.double_counted(found(**given)).verdict == expected


def test_one_bn_map_off_its_values_refutes_nothing():
    assert network_verdicts.clustered(spectra(), 0.99e-9).verdict == "refuted"
    assert network_verdicts.clustered(spectra(), 1.01e-9).verdict == "reproduced"
    assert network_verdicts.clustered(spectra(), -1.01e-9).verdict == "reproduced"


def test_settings_count_the_stages_that_hold():
    late = streams()
    late.loc[(late["stage"] == 2) & (late["arm"] == "BN"), "share"] **= 0.3
    one = network_verdicts.shares(late)
    assert (one.verdict, one.settings) == ("not reproduced", (2, 3))


def test_offsets_are_those_of_the_law():
    table = streams()
    at = (table["arm"] == "BN") & (table["place"] > 0)
    table.loc[at, "share"] = 1 / (0.5 * (table.loc[at, "place"] + 7))
    offsets = network_verdicts.offsets(table)
    assert offsets["offset"].to_numpy() == pytest.approx(7)
    assert offsets["r_squared"].to_numpy() == pytest.approx(1)


BROKEN = {
    "gradient": ("E-Van", "E-BNexp", "E-90", "E-Res", "L-Ortho", "C-Zhang"),
    "correlation": ("L-Shatter",),
    "value": ("E-Sing",),
    "share": ("L-Share",),
    "power": ("C-Zhang",),
}
# Seed 2 of the arm that decides, at the end of it that is looked at.
PLACE = {
    "E-Van": {"arm": "none", "layer": 3},
    "E-BNexp": {"arm": "BN", "layer": 3},
    "E-90": {"arm": "BN", "layer": 3},
    "E-Res": {"arm": "skip + BN", "layer": 3},
    "L-Ortho": {"arm": "BN", "layer": 3},
    "E-Sing": {"norm": "batch", "rank": 1},
    "L-Shatter": {"arm": "none", "depth": 5},
    "C-Zhang": {"arm": "zero", "block": 18},
    "L-Share": {"arm": "BN", "block": 5},
}
CASES = [(claim, column) for column, claims in BROKEN.items() for claim in claims]


@pytest.mark.parametrize(("claim", "column"), CASES)
@pytest.mark.parametrize("case", ["nan", "lost value", "lost run", "lost arm", "twice", "few seeds", "no column"])
def test_what_is_no_measurement_decides_nothing(claim, column, case):
    name = JUDGES[claim][1]
    table, where = GOOD[name], PLACE[claim]
    at = (table[list(where)] == pd.Series(where)).all(axis=1) & (table["seed"] == 2)
    arm = "norm" if "norm" in where else "arm"
    broken = {
        "nan": changed(table, math.nan, column, seed=2, **where),
        "lost value": table[~at],
        "lost run": table[~((table["seed"] == 2) & (table[arm] == where[arm]))],
        "lost arm": table[table[arm] != where[arm]],
        "twice": pd.concat([table, table[at]]),
        "few seeds": table[table["seed"] < 4],
        "no column": table.drop(columns=column),
    }[case]
    with pytest.raises(LedgerError):
        verdict(claim, **{name: broken})


@pytest.mark.parametrize("value", [0.0, math.inf])
@pytest.mark.parametrize("claim", ["E-Van", "E-BNexp", "E-90", "E-Res", "L-Ortho"])
def test_a_gradient_without_a_logarithm_decides_nothing(claim, value):
    name = JUDGES[claim][1]
    with pytest.raises(LedgerError):
        verdict(claim, **{name: changed(GOOD[name], value, "gradient", seed=2, **PLACE[claim])})


def test_the_first_block_has_no_say_in_the_shape():
    table = changed(shattering(), 0.2, "correlation", arm="none", depth=1)
    assert verdict("L-Shatter", shattering=table) == "reproduced"


def test_a_correlation_of_zero_has_no_shape():
    with pytest.raises(LedgerError, match="fits of 'none'"):
        verdict("L-Shatter", shattering=changed(shattering(), 0.0, "correlation", arm="none", depth=5, seed=1))


@pytest.mark.parametrize("name", ["corrected_off", "scaled_off", "printed_off"])
def test_findings_that_are_no_numbers(name):
    given = vars(SimpleNamespace(**found().__dict__)) | {name: [math.nan] * 5}
    with pytest.raises(LedgerError, match=name):
        flow_verdicts.double_counted(verdicts.Found(**given))
    with pytest.raises(LedgerError, match="Jacobian"):
        network_verdicts.clustered(spectra(), math.nan)


def test_what_is_said(as_said):
    uneven = mixed(rectifiers, {}, {"small": -0.68, "bn": 0.375}, 2)
    tables = GOOD | {"rectifiers": uneven, "streams": streams(exponent=0.5)}
    as_said(quick=verdicts.quick(found(), tables, "toy"), full=verdicts.full(found(), tables, "MNIST"))
