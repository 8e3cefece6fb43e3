"""Tables of the law: exact moments, exponents, and densities of mass 1."""

import numpy as np
import pytest

from bnlab.chapters.ch16_random_matrices import fuss_catalan


def test_moments_agree_to_many_digits_with_known_integers():
    table = fuss_catalan.moments((1, 2, 8, 20))
    assert table["relative_error"].max() < 1e-12
    known = table.set_index(["M", "order"])["fuss_catalan"]
    assert [known[1, k] for k in range(5)] == [1, 1, 2, 5, 14]
    assert [known[2, k] for k in range(5)] == [1, 1, 3, 12, 55]
    assert known[8, 4] == 1785


def test_exponents_at_zero():
    table = fuss_catalan.zero_exponents((1, 2, 3)).set_index(["quantity", "M"])["measured_exponent"]
    np.testing.assert_allclose(table["squared"], [-1 / 2, -2 / 3, -3 / 4], atol=1e-12)
    np.testing.assert_allclose(table["plain"], [0, -1 / 3, -1 / 2], atol=1e-12)


def test_curves_enclose_unit_mass_and_grow_heavier_tails():
    curves = fuss_catalan.law((1, 3), points=4000)
    assert np.isfinite(curves["density"]).all()
    for (_, quantity), curve in curves.groupby(["M", "quantity"]):
        assert curve["value"].is_monotonic_increasing
        mass = np.trapezoid(curve["density"], curve["value"])
        lost = {"squared": 0.01, "plain": 0.005}[quantity]  # below the first point: edge^(1/4) 1e-10^(1/4) for M = 3
        assert mass == pytest.approx(1, abs=lost)
    tops = curves[curves["quantity"] == "plain"].groupby("M")["value"].max()
    assert tops[1] == pytest.approx(2)
    assert tops[3] == pytest.approx((256 / 27) ** 0.5)
    assert set(curves.attrs["units"]) == set(curves.columns)
