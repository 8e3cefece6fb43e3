"""The ledger page: every claim of a chapter with an anchor of its own, and counts that add up."""

import re

import pytest
from book_files import CHAPTERS

from bnlab.claims import ledger, ledger_page, verdicts


@pytest.fixture
def shown(monkeypatch):
    markup = []
    monkeypatch.setattr(ledger_page, "_display", lambda html, plain: markup.append(html))
    return markup


def test_every_claim_of_a_chapter_has_its_row_and_anchor(shown):
    number = CHAPTERS[0].stem[:2]
    ledger_page.show_chapter(number)
    wanted = [claim.id for claim in ledger.claims().values() if claim.chapter == number]
    assert re.findall(r'<tr role="row" id="([^"]+)"', shown[0]) == wanted


def test_counts_add_up(shown):
    ledger_page.show_counts()
    numbers = [int(n) for n in re.findall(r"<td>(\d+)</td>", shown[0])]
    assert sum(numbers) == len(verdicts.collect())
