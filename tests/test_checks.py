"""What is a number, a whole number, a tensor of use; and that a refusal is one line that names it."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from bnlab import checks

NUMBERS = [1, 1.5, np.float32(1.5), np.float16(1.5), np.float64(1.5), np.int64(1), Fraction(3, 2), torch.tensor(1.0)]
NO_NUMBERS = [
    True,
    np.True_,
    "1",
    None,
    1j,
    float("nan"),
    float("-inf"),
    np.float16("inf"),
    10**400,
    torch.tensor([1.0]),
]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_python_and_of_numpy_are_numbers(value):
    assert checks.is_number(value)
    given = checks.number("rate", value, above=0.5, most=1.5)
    assert type(given) is float
    assert given == value


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_anything_else_is_none(value):
    assert not checks.is_number(value)
    with pytest.raises(ValueError, match=r"^rate: .* is not a finite number$"):
        checks.number("rate", value)


@pytest.mark.parametrize(
    ("bounds", "right"),
    [
        ({"above": 1}, "above 1"),
        ({"below": 1}, "below 1"),
        ({"least": 1.5}, "of at least 1.5"),
        ({"most": 0.5}, "of at most 0.5"),
        ({"above": 0, "below": 1}, "above 0 and below 1"),
        ({"above": 1, "hint": "0 freezes"}, "above 1; 0 freezes"),
    ],
)
def test_bounds_are_said(bounds, right):
    with pytest.raises(ValueError, match=rf"^rate: 1 is not a finite number {right}$"):
        checks.number("rate", 1, **bounds)


def test_bounds_that_hold():
    assert checks.number("rate", 1, least=1, most=1, above=0.9, below=1.1) == 1.0


@pytest.mark.parametrize("value", [2, np.int32(2), np.uint8(2)], ids=repr)
def test_whole_numbers(value):
    assert type(checks.whole("steps", value, 2)) is int
    with pytest.raises(ValueError, match=r"is not a whole number of at least 3; words$"):
        checks.whole("steps", value, 3, "words")


@pytest.mark.parametrize("value", [True, np.True_, 2.0, np.float64(2), "2", None, torch.tensor(2)], ids=repr)
def test_what_is_no_whole_number(value):
    with pytest.raises(ValueError, match=r"^steps: .* is not a whole number of at least 1$"):
        checks.whole("steps", value)


def test_a_choice():
    checks.choice("norm", "l1", ("l1", "l2"))
    with pytest.raises(ValueError, match=r"^norm: 'l3' is not one of 'l1', 'l2'$"):
        checks.choice("norm", "l3", ("l1", "l2"))


def test_a_tensor_that_will_do_comes_back():
    for dtype in checks.WIDE:
        x = torch.ones(2, 3, dtype=dtype)
        assert checks.tensor("x", x, "(B, K)", 2) is x
    half = torch.ones(2, 3, dtype=torch.bfloat16)
    assert checks.tensor("x", half, "(B, K)", (2, 4), half=True) is half
    spoilt = torch.tensor([float("nan")])
    assert checks.tensor("x", spoilt, finite=False) is spoilt


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ([1.0], "x: list is not a tensor"),
        (torch.ones(1, 1, dtype=torch.complex64), "x: torch.complex64 is no real floating-point dtype"),
        (torch.ones(1, 1, dtype=torch.int64), "x: torch.int64 is no real floating-point dtype"),
        (torch.ones(1, 1, dtype=torch.bool), "x: torch.bool is no real floating-point dtype"),
        (torch.ones(1, 1, dtype=torch.float16), "x: torch.float16 overflows at half precision"),
        (torch.ones(1), r"x: shape \(1,\) is not \(B, K\) with at least one entry"),
        (torch.ones(0, 2), r"x: shape \(0, 2\) is not \(B, K\) with at least one entry"),
        (torch.tensor([[float("inf")]]), "x: not all entries are finite"),
        (torch.tensor([[float("nan")]]), "x: not all entries are finite"),
    ],
)
def test_a_tensor_that_will_not_do_is_refused_in_one_line(value, line):
    with pytest.raises(ValueError, match=line) as refusal:
        checks.tensor("x", value, "(B, K)", 2)
    assert "\n" not in str(refusal.value)


def test_arrays_of_real_numbers():
    for values in ([1, 2], 1.5, np.ones((2, 2), np.float16), torch.ones(3)):
        found = checks.array("x", values)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1j], "x: complex128 is no array of real numbers"),
        (["1"], "x: <U1 is no array of real numbers"),
        ([True], "x: bool is no array of real numbers"),
        ([1.0, float("nan")], "x: nan is not finite"),
    ],
)
def test_arrays_of_anything_else(values, line):
    with pytest.raises(ValueError, match=rf"^{line}$"):
        checks.array("x", values)


def test_matrices_are_square_and_tensors_alike():
    assert checks.square("R", torch.eye(2)).shape == (2, 2)
    with pytest.raises(ValueError, match=r"^R: shape \(2, 3\) is not \(K, K\)$"):
        checks.square("R", torch.ones(2, 3))
    checks.alike(a=torch.ones(1), b=torch.ones(2))
    with pytest.raises(ValueError, match=r"^a, b: a torch.float32 on cpu, b torch.float64 on cpu are not of one dtype"):
        checks.alike(a=torch.ones(1), b=torch.ones(1).double())
