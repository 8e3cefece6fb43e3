"""Changes that moved no number: what explains a recorded map of sources, what does not, and what cannot be read."""

import pytest

from bnlab.records.changes import explained, read_changes
from bnlab.records.packing import RecordedError

H = {letter: letter * 64 for letter in "abcdef"}


def change(*pairs: str) -> str:
    """Write a change: pairs of module and letter of its hash, ``->`` between what was and what is."""
    return " ".join(word if word in "->+" else f"{word[:-1]} {word[-1] * 12}" for word in pairs)


@pytest.fixture
def listed(tmp_path):
    def write(*changes):
        rows = "".join(
            f"- why: moved\n  checked: again\n  changes: {{'90': {text}, '91': a {'0' * 12} -> }}\n" for text in changes
        )
        (tmp_path / "changes.yml").write_text(rows)
        return read_changes(tmp_path, "90")

    return write


def test_the_same_map_needs_no_explanation(tmp_path):
    assert read_changes(tmp_path, "90") == []
    assert explained({"m": H["a"]}, {"m": H["a"]}, []) == []
    assert explained({"m": H["a"]}, {"m": H["b"]}, []) is None


@pytest.mark.parametrize(
    ("rows", "today"),
    [
        ([("ma", "->", "nb")], {"n": H["b"]}),  # renamed
        ([("ma", "->", "mb"), ("mb", "->", "mc")], {"m": H["c"]}),  # twice
        ([("ma", "->", "nb", "+", "oc")], {"n": H["b"], "o": H["c"]}),  # split
        ([("ma", "->")], {}),  # gone
    ],
)
def test_changes_lead_from_one_map_to_another(listed, rows, today):
    changes = listed(*(change(*row) for row in rows))
    used = explained({"m": H["a"], "z": H["f"]}, {**today, "z": H["f"]}, changes)
    assert [found.why for found in used] == ["moved"] * len(rows)
    assert explained({"m": H["a"]}, {**today, "z": H["f"]}, changes) is None  # something new that nothing explains
    assert explained({"m": H["d"], "z": H["f"]}, {**today, "z": H["f"]}, changes) is None  # from another beginning


@pytest.mark.parametrize(
    "text",
    [
        "- 1",
        "{",
        "- {why: x, checked: y}",
        "- {why: x, checked: y, changes: {'90': a}}",
        "- {why: x, checked: y, changes: {'90': '-> a b'}}",
        "- {why: x, checked: y, changes: {'90': a 12 -> b 12}}",
        "- {checked: y, changes: {}}\n- 3",
        "- {why: x, checked: y, changes: [a]}",
    ],
)
def test_a_list_that_says_nothing_is_refused(tmp_path, text):
    (tmp_path / "changes.yml").write_text(text)
    with pytest.raises(RecordedError, match=r"changes.yml cannot be used \(.*restore it from version control") as error:
        read_changes(tmp_path, "90")
    assert "\n" not in str(error.value)
