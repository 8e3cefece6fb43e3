import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from conftest import cell, notebook

from bnlab.claims import ledger, pages
from bnlab.claims.markup import badge, mathematics
from bnlab.commands import compare as comparison
from bnlab.records import changes, recorded


@pytest.fixture
def shown(monkeypatch) -> list:
    """Collect what is displayed: (html, plain text, metadata), which must be strict JSON."""
    caught = []

    def publish(data, metadata):
        json.dumps(metadata, allow_nan=False)
        caught.append((data["text/html"], data["text/plain"], metadata))

    monkeypatch.setattr("IPython.display.publish_display_data", publish)
    return caught


def test_badges_of_every_verdict_have_a_class_of_their_own():
    assert badge("not run at full scale") == (
        '<span class="bn-verdict bn-not-run-at-full-scale">not run at full scale</span>'
    )
    assert len({badge(verdict) for verdict in ledger.VERDICTS}) == 7


def test_table_shows_rounded_numbers_and_keeps_whole_ones(shown):
    frame = pd.DataFrame({"name": ["<b>", "x"], "loss": [0.123456789, 2e-7], "n": np.array([1, 2], dtype=np.int64)})
    pages.table(frame, "losses", 'Losses of $a < b$ "quoted"', digits=3)
    ((markup, plain, metadata),) = shown
    assert "0.123</td>" in markup
    assert "2\u00a0×\u00a010<sup>−7</sup></td>" in markup
    assert "&lt;b&gt;" in markup
    assert 'aria-label="Losses of a &lt; b &quot;quoted&quot;"' in markup
    assert r'Losses of <span class="math">\(a &lt; b\)</span>' in markup
    assert plain.startswith("Losses of $a < b$")
    assert metadata == {
        "bnlab": {"table": "losses", "rows": {"name": ["<b>", "x"], "loss": [0.123456789, 2e-7], "n": [1, 2]}}
    }


def test_names_are_shown_as_words_and_what_is_missing_as_a_dash(shown):
    pages.table(pd.DataFrame({"standard_error": [1.0, None], "BN_Amplify": [1, 2]}), "n", "N")
    markup, _, metadata = shown[0]
    assert re.findall("<th>(.*?)</th>", markup) == ["standard error", "BN_Amplify"]
    assert re.findall("<td>(.*?)</td>", markup) == ["1", "1", "–", "2"]
    assert metadata["bnlab"]["rows"]["standard_error"] == [1.0, None]


def test_a_column_without_name_has_no_empty_header(shown):
    pages.table(pd.DataFrame({"": ["weak"], "before": [0.1]}), "one_side", "Power")
    assert "<th></th>" not in shown[0][0]
    assert "<th>before</th>" in shown[0][0]


def test_a_long_table_is_cut_on_the_page_only(shown):
    pages.table(pd.DataFrame({"n": range(1000)}), "long", "Long")
    markup, _, metadata = shown[0]
    assert "(first 60 of 1000 rows)" in markup
    assert markup.count("<tr") == 61
    assert metadata["bnlab"]["rows"]["n"] == list(range(1000))


def test_what_json_does_not_know_travels_all_the_same(shown):
    frame = pd.DataFrame(
        {"loss": [math.inf, -math.inf, math.nan, 1.0], "mixed": [np.float64(1), np.int64(2), None, "x"], 3: [True] * 4}
    )
    pages.table(frame, "odd", "Odd")
    rows = shown[0][2]["bnlab"]["rows"]
    assert rows == {"loss": ["inf", "-inf", None, 1.0], "mixed": [1.0, 2, None, "x"], "3": [True] * 4}
    assert [type(x) for x in rows["mixed"][:2]] == [float, int]
    entry = {"metadata": shown[0][2]}
    (tables,) = [comparison._shown(notebook([cell("", outputs=[entry])]), "x")]
    assert comparison._tables(tables, tables).empty


def test_mathematics():
    x, y = (f'<span class="math">\\({formula}\\)</span>' for formula in ("x", "y &lt; z"))
    assert mathematics("a $x$ and $y < z$ & $5") == f"a {x} and {y} &amp; $5"
    assert mathematics('<script>"') == '&lt;script&gt;"'


def provenance(**changes) -> recorded.Recorded:
    facts = {
        "key": "k" * 64,
        "chapter": "90",
        "parameters": {"sizes": [1, 2], "name": "<i>"},
        "data": {"title": "digits", "checksum": "0123456789abcdef"},
        "versions": {"bnlab": "0.1.0", "torch": "2.13.0"},
        "device": "a GPU & more",
        "seconds": 12.6,
        "finished": "2026-01-02T03:04:05+00:00",
        "commit": "f" * 40,
        "sources": {"bnlab.a": "1" * 64, "bnlab.b": "2" * 64},
    }
    return recorded.Recorded({}, facts | changes)


@pytest.fixture(autouse=True)
def since(monkeypatch):
    """Let the library be unchanged since; what a test puts into the list was."""
    listed = []
    monkeypatch.setattr(pages.changes, "since", lambda *asked: listed if listed != [None] else None)
    return listed


def test_provenance(shown):
    pages.provenance(provenance())
    ((markup, plain, metadata),) = shown
    assert "<dd>digits, checksum 0123456789ab</dd>" in markup
    assert "sizes = [1, 2], name = &lt;i&gt;" in markup
    assert "a GPU &amp; more; torch 2.13.0" in markup
    assert "13 s on 2026-01-02" in markup
    assert f"bnlab 0.1.0, commit {'f' * 12}; sources of 2 modules, none of which was changed since</dd>" in markup
    assert "Time: 13 s on 2026-01-02" in plain
    assert metadata == {"bnlab": {"provenance": "k" * 64}}


def test_where_nothing_is_recorded_nothing_is_shown(shown):
    pages.provenance(None)
    assert not shown
    pages.provenance(provenance())
    assert shown[0][0].startswith('<details class="bn-origin"><summary>')


def test_provenance_without_data_or_git(shown):
    pages.provenance(provenance(data=None, commit="unknown"))
    assert "<dt>Data</dt><dd>none</dd>" in shown[0][0]
    assert "commit unknown" in shown[0][0]


def test_tables_that_stayed_show_from_which_commit_they_are(shown):
    earlier = {"a": "e" * 40, "b": "d" * 40 + "+", "c": "e" * 40}
    pages.provenance(provenance(part_commits=earlier))
    told = (
        f"commit {'f' * 12} (a and c: commit {'e' * 12}) (b: commit {'d' * 12}+ and changes that were not committed); "
    )
    assert told in shown[0][1]


def test_code_that_was_not_committed_shows(shown):
    """The "+" of a changed tree is the 41st character, and must survive the cut of a commit to twelve."""
    pages.provenance(provenance(commit="f" * 40 + "+"))
    assert f"commit {'f' * 12}+ and changes that were not committed" in shown[0][1]
    pages.provenance(provenance(commit="f" * 40 + "+", sources=None))
    assert f"recorded from uncommitted code after commit {'f' * 12}, to be recorded again" in shown[1][1]


def test_what_became_of_the_code_since_is_told_once(shown, since):
    since += [
        changes.Change(frozenset(), frozenset(), why, "bits agree")
        for why in ("modules moved", "modules moved", "a typo")
    ]
    pages.provenance(provenance())
    assert "changed since; since then: modules moved (bits agree); since then: a typo (bits agree)</dd>" in shown[0][0]
    since[:] = [None]
    pages.provenance(provenance())
    assert "nothing says that the numbers are the same" in shown[1][0]
