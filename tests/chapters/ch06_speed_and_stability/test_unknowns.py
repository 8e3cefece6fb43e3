"""Settings that the document leaves open: drawn without repetition, built as they say, judged like the book's own."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch06_speed_and_stability import unknown_rates, unknown_verdicts, unknowns
from bnlab.chapters.ch06_speed_and_stability.unknowns import UNKNOWNS
from bnlab.claims.ledger import LedgerError
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.sweeps.points import Setting

BOOK = {name: values[0] for name, values in UNKNOWNS.items()}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=300, test=100)


def test_a_network_is_built_as_its_setting_says(digits):
    setting = Setting(digits, 1)
    point = {"norm": "amplify", "learning_rate": 0.1, "seed": 0, **BOOK}
    plain = unknowns.prepared(point, setting)
    assert plain.other_learning_rate == 0.1
    other = point | {"initialisation": "kaiming", "gain": 3.0, "threshold": 4.0, "power": "variance", "decay": 0.99,
                     "other_rate": 0.01}  # fmt: skip
    job = unknowns.prepared(other, setting)
    layers = [layer for layer in job.model.modules() if isinstance(layer, ThresholdNorm)]
    assert [(layer.threshold, layer.power, layer.decay) for layer in layers] == [(4.0, "variance", 0.99)] * 2
    assert job.other_learning_rate == 0.01
    deviation = job.model.conv2.weight.std().item()
    assert deviation == pytest.approx(3 * (2 / (6 * 25)) ** 0.5, rel=0.1)  # Kaiming's, three times
    assert not torch.equal(job.model.conv1.weight, plain.model.conv1.weight)
    assert job.model.fc.bias.abs().max() == 0


def test_runs_of_different_lengths_and_mini_batches_come_back_in_order(digits, monkeypatch):
    asked = [
        {"norm": "none", "learning_rate": rate, "seed": 0, **BOOK, "batch_size": size}
        for rate, size in ((0.1, 16), (unknowns.FIRST_ONLY, 64), (0.1, 64))
    ]
    monkeypatch.setattr(unknowns, "STEPS", 8)
    tables = unknowns.run_batched(asked, Setting(digits, 8, (0, 5, 8)))
    assert [table["step"].max() for table in tables] == [8, 5, 8]
    assert np.isfinite(tables[2]["loss"]).all()
    assert not tables[0]["loss"].equals(tables[2]["loss"])


def test_a_table_of_real_runs_keeps_what_verdicts_read_with_units(digits, monkeypatch):
    monkeypatch.setattr(unknowns, "STEPS", 12)
    points = [
        {"norm": norm, "learning_rate": rate, "seed": seed, **BOOK}
        for norm in unknowns.NETWORKS for rate in (unknowns.FIRST_ONLY, *unknowns.RATES) for seed in range(5)
    ]  # fmt: skip
    made = unknowns.run_batched(points, unknowns._setting(digits))
    named = [table.assign(**point) for point, table in zip(points, made, strict=True)]
    table = unknowns._finished(pd.concat(named, ignore_index=True))
    assert set(table.attrs["units"]) == set(table)
    low = table[table["learning_rate"] == 0.01]
    assert set(low["step"]) == {0, 5, 12}
    assert set(table.loc[table["learning_rate"] == 3.0, "step"]) >= {0, 1, 2, 3}
    assert table.loc[table["norm"] != "none", "power1_0"].isna().all()
    assert table.loc[table["norm"] == "none", "power1_0"].notna().any()
    judged = unknown_verdicts.by_setting({"unknowns": table}).set_index("claim")["verdict"]
    assert judged["C-Fig5"] in ("reproduced", "partly", "not reproduced")
    assert judged["C-Fig6"] in ("reproduced", "partly", "not reproduced")


def made_up(slow: float, fast: float, wild: float) -> pd.DataFrame:
    """Runs of the book's own setting: errors at the low rates of slow and fast networks, of wild ones at rate 3."""
    rows = []
    for norm in unknowns.NETWORKS:
        for rate in (unknowns.FIRST_ONLY, *unknowns.RATES):
            for seed in range(5):
                quick = norm in ("batch", "amplify")
                error = {0.1: 0.05, 3.0: wild if norm in ("none", "amplify") else 0.04}.get(
                    rate, fast if quick else slow
                )
                for step in (0, 1, 2, 3, 4, 5) + ((300,) if rate != unknowns.FIRST_ONLY else ()):
                    least = 4.0 if quick and step else 1.0
                    most = 1e4 if rate == 3.0 and norm in ("none", "amplify") and step else 10.0
                    powers = {"power1_0": 2.0, "power2_0": 0.5}
                    rows.append({**BOOK, "norm": norm, "learning_rate": rate, "seed": seed, "step": step, "loss": 1.0,
                                 "lambda_min": least + seed / 10, "lambda_max": most, "test_error": error, **powers,
                                 "diverged": False})  # fmt: skip
    return pd.DataFrame(rows)


def test_a_setting_is_judged_by_the_books_own_criteria():
    found = unknown_verdicts.by_setting({"unknowns": made_up(slow=0.4, fast=0.1, wild=0.9)}).set_index("claim")[
        "verdict"
    ]
    assert found.to_dict() == {
        "C-Fig5": "reproduced", "C-Fig6": "reproduced", "C-Fig8b": "reproduced", "C-Fig7": "reproduced",
        "C-Fig8a": "reproduced", "C-Def": "corrected",
    }  # fmt: skip
    turned = unknown_verdicts.by_setting({"unknowns": made_up(slow=0.1, fast=0.4, wild=0.05)}).set_index("claim")[
        "verdict"
    ]
    assert (turned["C-Fig7"], turned["C-Fig8a"]) == ("not reproduced", "partly")
    assert turned["C-Fig8b"] == "not judged"  # nobody is lost


def test_a_setting_with_a_run_that_is_not_there_is_not_judged_and_one_without_the_books_own_is_an_error():
    runs = made_up(slow=0.4, fast=0.1, wild=0.9)
    short = runs[~((runs["norm"] == "batch") & (runs["seed"] == 4))]
    assert unknown_verdicts.by_setting({"unknowns": short}).set_index("claim")["verdict"]["C-Fig6"] == "not judged"
    with pytest.raises(LedgerError, match="the book's own is not among them"):
        unknown_verdicts.by_setting({"unknowns": runs.assign(gain=3.0)})


def test_rates_survived_are_run_in_every_setting_and_judged_there(digits):
    with ThreadPoolExecutor(1) as here:
        given = {"executor": here, "progress": False}
        found = unknown_rates.unknown_rates(digits, 1, [0.5, 1.0, 1e5], range(5), 3, **given)
    assert len(found) == (1 + 8 + 1) * 2 * 3 * 5
    assert list(found.attrs["units"]) == list(found)
    assert found[found["learning_rate"] == 1e5].groupby("norm")["diverged"].mean()["none"] > 0.9
    reach = unknown_verdicts.by_setting({"unknown_rates": found})
    assert set(reach["claim"]) == {"C-BN-LR"}
    assert len(reach) == 10
    assert unknown_verdicts.by_setting({}) is None


def test_rates_are_judged_by_the_chapters_own_criterion():
    def rows(setting, ends):
        return [
            {**BOOK, **setting, "norm": norm, "learning_rate": rate, "seed": seed, "step": 300, "cap": 0.0,
             "test_error": 0.1 if rate <= end else 0.9, "diverged": rate > end}
            for norm, end in ends.items() for rate in (0.5, 1.0, 2.0, 4.0) for seed in range(5)
        ]  # fmt: skip

    table = pd.DataFrame(rows({}, {"none": 0.5, "batch": 4.0}) + rows({"gain": 3.0}, {"none": 2.0, "batch": 4.0}))
    reach = unknown_verdicts.by_setting({"unknown_rates": table}).set_index("changed")["verdict"]
    assert reach.to_dict() == {"nothing": "reproduced", "gain 3.0": "not reproduced"}
