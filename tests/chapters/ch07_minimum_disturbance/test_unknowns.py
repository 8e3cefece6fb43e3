"""Chapter 07 in settings that the document leaves open: built as they say, looked at where verdicts read."""

import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch07_minimum_disturbance import arrangements, noise_sensitivity, unknown_verdicts, unknowns
from bnlab.claims import settings_left_open
from bnlab.claims.ledger import Verdict
from bnlab.layers.nlms import NlmsConv2d
from bnlab.sweeps.points import Setting
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS

BOOK = {name: values[0] for name, values in WITHOUT_THRESHOLDS.items()}
OTHER = {"batch_size": 16, "initialisation": "kaiming", "gain": 3.0, "other_rate": 0.01, "images": "enlarged"}
VERDICTS = {"reproduced", "partly", "not reproduced", "reported"}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=300, test=60)


@pytest.fixture
def only_two(monkeypatch):
    """The book's setting and one that differs in everything."""
    monkeypatch.setattr(unknowns, "settings", lambda combinations, seed, names: [BOOK, OTHER])
    monkeypatch.setattr(unknowns, "STEPS", 4)


def test_a_network_under_noise_is_built_as_its_setting_says(digits):
    point = {"norm": "nlms_l2", "rate": 0.1, "fc": "frozen", "noise": 10.0, "seed": 1}
    plain = unknowns.prepared({**point, **BOOK}, Setting(digits, 1))
    as_ever = noise_sensitivity.prepare({**point, "batch_size": 64}, Setting(digits, 1))
    assert torch.equal(plain.model.conv2.weight, as_ever.model.conv2.weight)
    assert (plain.rates, plain.other_learning_rate) == (as_ever.rates, as_ever.other_learning_rate)
    job = unknowns.prepared({**point, **OTHER}, Setting(digits, 1))
    assert isinstance(job.model.conv2, NlmsConv2d)
    assert job.model.conv2.noise == 10.0
    assert job.model.conv2.weight.std().item() == pytest.approx(3 * (2 / (6 * 25)) ** 0.5, rel=0.1)  # Kaiming's
    assert (job.other_learning_rate, job.rates["conv1.weight"], job.rates["fc"]) == (0.01, 0.01, 0.0)
    narrow = unknowns.prepared({**point, **BOOK, "gain": 0.3}, Setting(digits, 1))
    torch.testing.assert_close(narrow.model.conv2.weight, 0.3 * plain.model.conv2.weight)


def test_looks_are_the_chapters_own_in_the_books_setting(digits, only_two):
    found = unknowns.looks(digits, 0, [0, 1], progress=False)
    assert set(found.attrs["units"]) == set(found)
    assert set(found["batch_size"]) == {64, 16}
    own = found[(found["batch_size"] == 64) & (found["step"] == 0) & (found["seed"] == 0)]
    theirs = arrangements.follow(digits, [0], 1, unknowns.PROBE_SIZE, progress=False)
    theirs = theirs[(theirs["step"] == 0) & (theirs["norm"] != "none+nlms_l2")]
    for column in ("power_0", "cosine_channel", "cosine_patch", "loss"):
        assert own.set_index("arrangement")[column].to_dict() == theirs.set_index("arrangement")[column].to_dict()
    steps = found.groupby(["batch_size", "arrangement"])["step"].unique().map(list)
    assert steps[64, "d: BN before conv2"] == [0]  # an epoch is four steps
    assert steps[16, "d: BN before conv2"] == [0]
    assert steps[16, "a: no normalisation"] == [0]


def test_looks_end_with_the_epoch(digits):
    shorter = Setting(digits, 1, (), {"conv2": arrangements.probe_of(digits, 20)})
    point = {"norm": "none+batch_prior", "seed": 0, **BOOK, "batch_size": 10}  # 30 steps an epoch
    assert unknowns.look(point, shorter)["step"].tolist() == [0, 20]


def test_both_tables_are_judged_in_every_setting(digits, only_two):
    seeds = [0, 1, 2, 3, 4]
    tables = {
        "unknown_looks": unknowns.looks(digits, 0, seeds, progress=False),
        "unknown_noise": unknowns.under_noise(digits, 0, seeds, [1000, 1001], progress=False),
    }
    assert set(tables["unknown_noise"].attrs["units"]) == set(tables["unknown_noise"])
    found = unknown_verdicts.by_setting(tables)
    assert found.groupby("changed").size().to_dict() == {"nothing": 5, "many": 5}
    assert set(found["verdict"]) <= VERDICTS | {"not judged"}
    own = found[found["changed"] == "nothing"].set_index("claim")["verdict"]
    assert own["C-First"] in VERDICTS
    assert own["C-Fig9"] in VERDICTS
    assert own["C-Fig10a"] in VERDICTS
    assert unknown_verdicts.by_setting({}) is None


def test_a_verdict_says_when_its_settings_were_judged():
    rows = [(changed, claim, verdict) for claim, verdict in (("C-Fig9", "partly"), ("C-Fig10a", "reproduced"))
            for changed in ("nothing", "gain 3.0", "many")]  # fmt: skip
    reach = pd.DataFrame(rows, columns=["changed", "claim", "verdict"])
    judged = [Verdict(name, "partly", "x", scale="full") for name in ("C-Fig9", "C-Fig10a", "C-99-95")]
    first, noise, long = settings_left_open.with_reach(judged, reach, unknown_verdicts.JUDGED)
    assert "Before the first step it holds in 0 of 2 settings" in first.measured
    assert "After 300 steps it holds in 2 of 2 settings" in noise.measured
    assert long == judged[2]
