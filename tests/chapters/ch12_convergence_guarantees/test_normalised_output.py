"""Descent with a normalised output: its last phase is that of H*, its loss is bounded, its length grows."""

import pytest

from bnlab.chapters.ch12_convergence_guarantees import least_squares as ols
from bnlab.chapters.ch12_convergence_guarantees import normalised_output as normalised


def test_lengths_grow_and_rates_fall():
    traces = normalised.normalised_traces(4, [0.01, 1e4], 50, 0)
    for _, run in traces.groupby("rate"):
        assert run["length"].is_monotonic_increasing
    huge = traces[traces["rate"] == 1e4]
    assert huge["times_bound"].iloc[0] > 1 > huge["times_bound"].iloc[-1]


def test_the_last_phase_is_that_of_the_effective_hessian_for_one_of_the_two():
    off = normalised.last_phase(4, (0, 1, 2)).set_index(["method", "seed"])["off"]
    assert (off[ols.AFTER] < 1e-4).all()
    assert (off[ols.BEFORE] > 1e-3).all()


def test_the_last_phase_by_hand(monkeypatch):
    """Nearer to the solution the factors are nearer to those of H*, in proportion."""
    near = []
    for displaced in (1e-3, 1e-4):
        monkeypatch.setattr(normalised, "DISPLACED", displaced)
        near.append(normalised.last_phase(4, [0]).set_index("method")["off"])
    assert near[1][ols.AFTER] == pytest.approx(near[0][ols.AFTER] / 10, rel=0.3)
    assert near[1][ols.BEFORE] == pytest.approx(near[0][ols.BEFORE], rel=1e-3)


def test_the_loss_may_pass_its_start_but_not_four_times_it():
    peaks = normalised.loss_peaks(4, 0, problems=200)["highest"]
    assert len(peaks) == 200
    assert peaks.min() >= 1 - 1e-12
    assert (peaks > 1.01).any()
    assert peaks.max() <= 4
