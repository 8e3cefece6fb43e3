"""Values by content: the same in every process, whatever holds them; the refusal of what has no stable key."""

import subprocess
import sys
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bnlab.records.content import ContentError, content


@dataclass(frozen=True)
class Probe:
    images: object
    size: int = 3
    title: str = field(default="", compare=False)

    def look(self):
        return self.size


def run(point, setting=None):
    return point


def local():
    def inner(point):
        return point

    return inner


def test_numbers_of_numpy_are_numbers():
    for value, plain in ((np.float64(0.1), 0.1), (np.int64(3), 3), (np.bool_(True), True), (np.float32(0.5), 0.5)):
        assert content(value) == plain
        assert type(content(value)) is type(plain)


def test_arrays_count_by_type_shape_and_bytes():
    base = np.arange(6.0).reshape(2, 3)
    same = [base.copy(), np.asfortranarray(base), np.arange(12.0).reshape(2, 6)[:, ::2] / 2 * 1.0, base.astype(">f8")]
    assert all(content(array) == content(base) for array in (same[0], same[1], same[3]))
    others = [base + 1, base.reshape(3, 2), base.astype("f4"), base.ravel()]
    assert len({str(content(array)) for array in [base, *others]}) == 5
    big, changed = np.zeros(5000), np.zeros(5000)
    changed[2500] = 1  # where numpy's text says "..."
    assert content(big) != content(changed)


def test_tensors_count_by_content_wherever_they_lie():
    one = torch.arange(6).reshape(2, 3)
    assert content(one) == content(one.clone().t().contiguous().t())
    others = [one.float(), one.bfloat16(), one.reshape(3, 2), one + 1, torch.tensor(0), torch.zeros(0)]
    assert len({str(content(tensor)) for tensor in [one, *others]}) == 7


def test_dataclasses_count_by_name_and_fields():
    probe = Probe(torch.ones(2))
    assert content(probe) == content(Probe(torch.ones(2), title="another title"))
    assert content(probe) != content(Probe(torch.zeros(2)))
    assert content(probe) != content(Probe(torch.ones(2), size=4))
    assert content(probe.look) == content(Probe(torch.ones(2)).look)
    assert content(probe.look) != content(Probe(torch.ones(2), size=4).look)


def test_functions_count_by_name_and_what_is_bound_to_them():
    modules: set[str] = set()
    assert content(partial(run, setting=Probe(1)), "run", modules) == content(partial(run, setting=Probe(1)))
    assert content(partial(run, setting=Probe(1))) != content(partial(run, setting=Probe(2)))
    assert content(run) != content(local)
    assert modules == {__name__}


def test_mappings_and_sets_have_no_order_and_lists_do():
    assert content({"a": 1, "b": 2}) == content({"b": 2, "a": 1})
    assert content({3, 1, 2}) == content({2, 1, 3})
    assert content([1, 2]) != content([2, 1])
    assert content((1, 2)) == content([1, 2]) == content(range(1, 3))
    assert content({"1": 0}) != content({1: 0})
    assert content([1]) != content(["1"]) != content([1.5])


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x,
        local(),
        object(),
        np.array([object()], dtype=object),
        make_dataclass("Unknown", ["x"])(1),
        torch.nn.Linear(2, 2),
        torch.zeros(2, 2).to_sparse(),
        partial(lambda x: x),
        Path("x"),
        (n for n in range(2)),
        np.random.default_rng(0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_stable_key_is_refused_by_name(value):
    with pytest.raises(ContentError, match="no stable key, so its results cannot be kept") as error:
        content({"measurements": {"probe": value}}, "setting")
    assert str(error.value).startswith("setting['measurements']['probe']")
    assert "\n" not in str(error.value)


def test_another_process_gives_the_same():
    program = (
        "import numpy, torch; from functools import partial; from bnlab.records.content import content, ContentError\n"
        "print(content({'a': numpy.arange(3), 'b': torch.ones(2), 'c': {1, 'x'}, 'd': partial(content, name='n')}))"
    )
    texts = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    expected = {"a": np.arange(3), "b": torch.ones(2), "c": {1, "x"}, "d": partial(content, name="n")}
    assert texts == {f"{content(expected)}\n"}
