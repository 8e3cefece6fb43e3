"""The count of values against counts by hand, and the shape of the table."""

import pytest
import torch

from bnlab.chapters.ch01_algorithm import layer_cost


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda x: x + x, 3 * 12),  # reads two, writes one
        (lambda x: x.sum(), 12 + 1),
        (lambda x: x.t().reshape(12).view(2, 6)[0], 24),  # the copy behind the transposition, read and written
        (lambda x: x.add_(1), 2 * 12),
        (lambda x: torch.var_mean(x), 12 + 2),
    ],
)
def test_values_touched_are_those_counted_by_hand(work, expected):
    x = torch.ones(3, 4)
    with layer_cost.CountValues() as counter:
        work(x)
    assert counter.total == expected


def test_backward_pass_is_counted():
    x = torch.ones(10, requires_grad=True)
    touched, _ = layer_cost.measure(lambda: torch.autograd.grad((x * x).sum(), x), 1)
    assert touched >= 30 + 11 + 4 * 10


def test_count_is_linear_and_the_table_tidy():
    table = layer_cost.costs(16, (64, 128, 256), seed=0, repetitions=2)
    assert set(table.attrs["units"]) == set(table.columns)
    assert table["values"].tolist() == [16 * size for size in (64, 128, 256)] * 2
    assert (table["milliseconds"] > 0).all()
    grows_d = table[table["varied"] == "d grows"]
    assert (grows_d["touched"] / grows_d["d"]).nunique() == 1  # every operation is O(m d) or O(d)
    growth = table[table["varied"] == "m grows"]["touched"].diff().dropna()
    assert growth.iloc[1] == 2 * growth.iloc[0]


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        layer_cost.measure(lambda: 1 / 0, 1)
    assert torch.get_num_threads() == before
