"""Values drawn anew every day, really run: no parameter of a chapter ends in a traceback, or in a refusal after work.

``make fuzz`` runs hundreds of them.
"""

import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import fuzzing
import pytest
from book_files import ROOT

from bnlab.claims import book


@pytest.mark.parametrize(
    ("given", "limit", "end", "why"),
    [
        ({"epochs": "3"}, 60, "executed", ""),
        ({"epochs": "0"}, 60, "refused", "epochs = '0' cannot be used (below 1)"),
        ({"note": "fail"}, 60, "failed", "RuntimeError: first line second line [<ipython-input"),
        ({"note": "die"}, 60, "failed", "the process died (out of memory?)"),
        ({"wait": "60"}, 3, "ran on", "more than 3 s"),
    ],
)
def test_how_a_draw_ends_is_told(mini, given, limit, end, why):
    """In a process of its own: a fork of one that runs threads may hang."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(fuzzing.__file__).parent)!r})
import fuzzing
print(*fuzzing.outcome(fuzzing.Case("90", {given!r}, ()), {limit}), sep=";")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(f"{end};{why}"), done.stderr


def test_a_refusal_of_several_lines_is_a_fault(mini, monkeypatch):
    def several(chapter, given):
        raise fuzzing.parameters.ParameterError("one\ntwo")

    monkeypatch.setattr(fuzzing.rerun, "check", several)
    assert fuzzing.outcome(fuzzing.Case("90", {}, ()), 1) == ("failed", "a refusal of more than a line: one\ntwo")


def test_the_other_parameters_are_as_small_as_they_can_be(mini):
    assert fuzzing.smallest(book.chapter("90")) == {"epochs": "1", "rates": "[0.1]"}


def test_draws_are_those_of_their_seed_and_reach_both_sides_of_a_limit(mini):
    chapter = book.chapter("90")
    draws = [fuzzing.draw(chapter, {}, random.Random(n), ["folder:x"]) for n in range(400)]
    assert draws == [fuzzing.draw(chapter, {}, random.Random(n), ["folder:x"]) for n in range(400)]
    assert {name for case in draws for name in case.drawn} == {p.name for p in chapter.parameters}
    let_through = [fuzzing.passes(chapter, case.given) for case in draws]
    assert 0.3 < sum(let_through) / len(draws) < 0.8
    epochs = {case.given["epochs"] for case in draws if "epochs" in case.given}
    assert {"0", "1", "101"} <= epochs


def test_the_limits_of_every_chapter_are_understood():
    for chapter in book.chapters(ROOT):
        for name, kind in fuzzing.kinds(chapter).items():
            item = kind.description.rpartition("each ")[2]
            if kind.type == "int" or "a whole number" in item or "a number" in item:
                assert set(fuzzing.limits(item).values()) != {None}, f"chapter {chapter.number}: {name}"


def test_todays_draws():
    """Half a dozen, each stopped after 20 seconds; what is drawn does not depend on the machine."""
    seed = f"{datetime.now(UTC):%Y-%m-%d}"
    command = [sys.executable, str(Path(fuzzing.__file__)), "6", "--seed", seed, "--limit", "20"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"python tests/fuzzing.py 6 --seed {seed}\n{done.stdout}{done.stderr[-3000:]}"
