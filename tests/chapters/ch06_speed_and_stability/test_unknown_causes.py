"""Causes in settings left open: in the book's own the runs of ``arms`` and ``stability``, in others as these say."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch06_speed_and_stability import channel_norms, unknown_causes, unknown_verdicts
from bnlab.measures.probes import SplitError
from bnlab.sweeps.points import Setting, complete, run_point
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS

BOOK = {name: values[0] for name, values in WITHOUT_THRESHOLDS.items()}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=300, test=100)


@pytest.fixture(scope="module")
def setting(digits):
    return Setting(digits, 25, (25,), {"test": SplitError(digits)})


@pytest.mark.parametrize("arm", unknown_causes.ARMS)
def test_in_the_books_own_setting_an_arm_is_that_of_the_chapter(arm, setting):
    usual = complete(channel_norms.ARMS[arm] | {"learning_rate": 1e-3, "seed": 2})
    found = unknown_causes.run_arm({**BOOK, "arm": arm, "learning_rate": 1e-3, "seed": 2}, setting)
    pd.testing.assert_frame_equal(found, run_point(usual, setting), check_exact=True)


def test_in_the_books_own_setting_a_cap_is_that_of_the_chapter(setting):
    point = {"norm": "none", "learning_rate": 0.5, "seed": 1, "cap": 1.0}
    found = unknown_causes.run_capped({**BOOK, **point}, setting)
    pd.testing.assert_frame_equal(found, run_point(complete(point), setting), check_exact=True)
    free = unknown_causes.run_capped({**BOOK, **point, "cap": 1e6}, setting)
    assert found["loss"].item() != free["loss"].item()


def test_in_another_setting_all_of_a_network_is_as_it_says(setting, monkeypatch):
    jobs = []
    monkeypatch.setattr(unknown_causes, "run_jobs", lambda job, *_: jobs.extend(job) or [None])
    other = {**BOOK, "initialisation": "kaiming", "gain": 3.0, "other_rate": 0.01, "learning_rate": 0.5, "seed": 0}
    for arm in ("baseline", "lower half raised"):
        unknown_causes.run_arm({**other, "arm": arm}, setting)
    unknown_causes.run_capped({**other, "norm": "none", "cap": 16.0}, setting)
    unknown_causes.run_arm({**BOOK, "arm": "lower half raised", "learning_rate": 0.5, "seed": 0}, setting)
    plain, raised, capped, usual = jobs
    assert plain.adjust is None
    assert all(job.other_learning_rate == 0.01 for job in (plain, raised, capped))
    assert capped.rates["conv1"] == 0.01
    assert capped.adjust.cap == 16.0
    deviation = plain.model.conv2.weight.std().item()
    assert deviation == pytest.approx(3 * (2 / (6 * 25)) ** 0.5, rel=0.1)  # Kaiming's, three times
    assert torch.equal(plain.model.conv2.weight, raised.model.conv2.weight)
    # The spectrum is raised to that of this setting's network with Batch Normalization, not of the book's own.
    upper = len(raised.adjust.factors) // 2
    assert (raised.adjust.factors[upper:] == 1).all()
    assert not torch.allclose(raised.adjust.factors[:upper], usual.adjust.factors[:upper], rtol=0.1)


def test_tables_have_every_setting_and_the_units_of_their_columns(digits):
    with ThreadPoolExecutor(1) as here:
        given = {"executor": here, "progress": False}
        caps = unknown_causes.unknown_caps(digits, 1, [0.5, 1e5], range(2), 3, **given)
        arms = unknown_causes.unknown_arms(digits, 1, range(2), **given)
    assert len(caps) == (1 + 8 + 1) * 2 * 2 * 2
    assert len(arms) == (1 + 8 + 1) * 4 * 2
    for table in (caps, arms):
        assert list(table.attrs["units"]) == list(table)
    assert set(caps["cap"]) == set(unknown_causes.CAPS)
    assert {*unknown_verdicts.by_setting({"unknown_arms": arms})["verdict"]} == {"not judged"}  # of two seeds
    assert caps[caps["learning_rate"] == 1e5]["diverged"].mean() > 0.9
    assert set(arms["step"]) == {300}


def test_causes_are_judged_by_the_chapters_own_criteria():
    def arms(setting, ends):
        return [
            {**setting, "arm": arm, "fc_mode": "paper", "learning_rate": 1e-3, "seed": seed, "step": 300,
             "test_error": end, "diverged": False}
            for arm, end in zip(unknown_causes.ARMS, ends, strict=True) for seed in range(5)
        ]  # fmt: skip

    def caps(setting, ends):
        return [
            {**setting, "norm": "none", "cap": cap, "learning_rate": rate, "seed": seed, "step": 300,
             "test_error": 0.1 if rate <= end else 0.9, "diverged": rate > end}
            for cap, end in zip(unknown_causes.CAPS, ends, strict=True)
            for rate in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0) for seed in range(5)
        ]  # fmt: skip

    other = {**BOOK, "gain": 3.0}
    tables = {
        "unknown_arms": pd.DataFrame(arms(BOOK, (0.4, 0.1, 0.35, 0.2)) + arms(other, (0.4, 0.1, 0.15, 0.38))),
        "unknown_caps": pd.DataFrame(caps(BOOK, (8.0, 0.5)) + caps(other, (4.0, 4.0))),
    }
    found = unknown_verdicts.by_setting(tables).set_index(["claim", "changed"])["verdict"]
    assert found.to_dict() == {
        ("C-Sep", "nothing"): "reproduced", ("C-Sep", "gain 3.0"): "not reproduced",
        ("C-Sup", "nothing"): "reproduced", ("C-Sup", "gain 3.0"): "not reproduced",
    }  # fmt: skip
