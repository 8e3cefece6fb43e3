"""Changes that no test can notice are of lines that are there, each with its reason."""

from pathlib import Path

from book_files import ROOT

LISTED = (ROOT / "tools" / "equivalent_mutants.txt").read_text(encoding="utf-8").splitlines()[1:]


def test_every_change_that_nothing_can_show_is_of_a_line_that_is_there():
    reasons, changes = LISTED[::2], LISTED[1::2]
    assert all(line.startswith("# ") for line in reasons)
    assert len(reasons) == len(changes) == len(set(changes))
    for change in changes:
        module, _, lines = change.partition(": ")
        before, arrow, after = lines.partition(" => ")
        assert arrow
        assert before != after
        text = (ROOT / "lib" / "bnlab" / Path(module)).read_text(encoding="utf-8")
        assert before in [line.strip() for line in text.splitlines()], change
