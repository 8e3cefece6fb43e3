"""One card a claim: both scales side by side, one address, the verdict that decides in the line that stays."""

import re
from html.parser import HTMLParser

import pytest
import yaml
from conftest import CLAIMS, cell, notebook, write_draws

from bnlab.claims import ledger, pages, verdicts
from bnlab.claims.ledger import LedgerError, judge
from bnlab.claims.markup import badge

CHANGE = {"date": "2026-11-28", "earlier": "above $2$", "why": "the 2 was <ours>", "says": "not reproduced, 4 of 8"}
VOID = {"br", "img", "hr"}


class Tree(HTMLParser):
    """Refuse markup whose elements are not closed in order, and keep ids, links, and what a summary holds."""

    def __init__(self, markup):
        super().__init__()
        self.open, self.ids, self.links, self.inside_summary = [], [], [], []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if "summary" in self.open:
            self.inside_summary.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def shown(monkeypatch) -> list:
    caught = []
    monkeypatch.setattr(
        "IPython.display.publish_display_data",
        lambda data, metadata: caught.append((data["text/html"], data["text/plain"], metadata)),
    )
    return caught


def change_claim(mini, name: str, **more) -> None:
    path = mini / "book" / "claims.yml"
    rows = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump([row | (more if row["id"] == name else {}) for row in rows]))


def draws(mini, decided: dict[int, dict[str, str] | None], **facts) -> None:
    found = [
        {
            "seed": seed,
            "failed": None if verdicts is not None else "a cell failed",
            "verdicts": {name: {"verdict": word} for name, word in (verdicts or {}).items()},
        }
        for seed, verdicts in decided.items()
    ]
    write_draws(mini, *found, **facts)


def card(markup: str, name: str) -> str:
    return re.search(rf'<details class="bn-card" id="claim-{name}">.*?</details>', markup)[0]


def summary(markup: str, name: str) -> str:
    return re.search(r"<summary>(.*?)</summary>", card(markup, name))[1]


def test_a_claim_has_one_card_with_both_scales(mini, shown):
    quick = [
        judge("T-Sum", "reproduced", measured="<2> & $x<y$"),
        judge("T-Trend", "partly", measured="4 of 5", interval=(0.12345, 2), seeds=5, data="a & b"),
        judge("T-Head", "not run at full scale", measured="a miniature", seeds=1),
    ]
    full = [judge("T-Trend", "not reproduced", measured="2 of 8", seeds=8, data="MNIST", scale="full", settings=(1, 3))]
    pages.claim_cards(quick, full)
    ((markup, plain, metadata),) = shown
    tree = Tree(markup)
    assert tree.ids == ["claim-T-Sum", "claim-T-Trend", "claim-T-Head"]
    assert not {"a", "button"} & set(tree.inside_summary)  # a link inside a summary cannot be reached by keyboard
    trend = card(markup, "T-Trend")
    quick_side, full_side = re.findall(r'<div><p class="bn-side">.*?</div>', trend)
    assert quick_side.startswith('<div><p class="bn-side">Quick run <span class="bn-verdict bn-partly">')
    assert "a &amp; b; 5 seeds; interval or quartiles 0.123 to 2" in quick_side
    assert full_side.startswith('<div><p class="bn-side">Full scale <span class="bn-verdict bn-not-reproduced">')
    assert "MNIST; 8 seeds; holds in 1 of the 3 settings that the criterion names" in full_side
    assert r'&lt;2&gt; &amp; <span class="math">\(x&lt;y\)</span>' in card(markup, "T-Sum")
    assert "Criterion <span>(experiment with a trend)</span>" in trend
    assert "<dt></dt>" not in markup
    assert "What would change our mind" not in markup  # nobody has said it yet
    assert "1 seed<" in card(markup, "T-Head")
    assert "Quick run: does not decide.</p>" in card(markup, "T-Head")
    assert plain.splitlines()[1] == "T-Trend (quick): partly. 4 of 5"
    output = {"output_type": "display_data", "data": {}, "metadata": metadata}
    assert verdicts.verdicts_in(notebook([cell("", outputs=[output])])) == [*quick, *full]


def test_the_summary_holds_the_verdict_that_decides_and_the_other_where_it_differs(mini, shown):
    quick = [judge(name, "reproduced", measured="m") for name in ("T-Sum", "T-Trend")]
    quick.append(judge("T-Head", "reported", measured="m"))
    full = [judge(name, "not reproduced", measured="f", scale="full") for name in ("T-Sum", "T-Trend", "T-Head")]
    pages.claim_cards(quick, full)
    markup = shown[0][0]
    assert badge("reproduced") in summary(markup, "T-Sum")  # an identity: the run that anyone can repeat
    assert "full scale: not reproduced" in summary(markup, "T-Sum")
    assert badge("not reproduced") in summary(markup, "T-Trend")
    assert "quick run: reproduced" in summary(markup, "T-Trend")
    assert badge("not reproduced") in summary(markup, "T-Head")
    assert [len(re.findall("bn-verdict", summary(markup, c["id"]))) for c in CLAIMS if c["id"] != "T-Bound"] == [
        1,
        1,
        1,
    ]


def test_other_settings_are_compared_and_never_decide(mini, shown):
    quick = [judge("T-Trend", "partly", measured="m"), judge("T-Head", "reported", measured="m")]
    own = [
        judge("T-Trend", "reproduced", measured="o", scale="own"),
        judge("T-Head", "reported", measured="o", scale="own"),
    ]
    pages.claim_cards(quick, own)
    markup = shown[0][0]
    assert badge("partly") in summary(markup, "T-Trend")
    assert "other settings: reproduced" in summary(markup, "T-Trend")
    assert "Other settings, compared only" in card(markup, "T-Trend")
    assert badge("not run at full scale") in summary(markup, "T-Head")


def test_without_a_full_scale_run_the_card_says_what_that_means(mini, shown):
    quick = [judge(name, "reported", measured="m") for name in ("T-Sum", "T-Trend", "T-Head")]
    pages.claim_cards(quick)
    markup = shown[0][0]
    assert "Full scale" not in card(markup, "T-Sum")
    assert "none is recorded: the quick run decides" in card(markup, "T-Trend")
    assert "not run: nothing else could decide" in card(markup, "T-Head")


def test_what_was_not_run_decides_nothing_and_is_not_told_twice(mini, shown):
    pages.claim_cards([judge("T-Trend", "not run at full scale", measured="m")])
    assert "Full scale: none is recorded.</p>" in card(shown[0][0], "T-Trend")
    full = judge("T-Trend", "partly", measured="f", scale="full")
    pages.claim_cards([judge("T-Trend", "not run at full scale", measured="m")], [full])
    assert "quick run" not in summary(shown[1][0], "T-Trend")


def test_exceptions_links_and_what_would_change_our_mind(mini, shown):
    change_claim(
        mini, "T-Bound", amended=[CHANGE], settled_after_a_look=["sizes for time"], would_change_our_mind="one $x$",
        shown_at="five-steps",
    )  # fmt: skip
    pages.claim_cards([judge("T-Bound", "corrected", measured="m")])
    markup = shown[0][0]
    assert "criterion amended" in summary(markup, "T-Bound")
    assert "<strong>Amended on 2026-11-28.</strong> the 2 was &lt;ours&gt;" in markup
    assert r'Before, it read: above <span class="math">\(2\)</span>' in markup
    assert "By that criterion: not reproduced, 4 of 8" in markup
    assert "<strong>Settled after a look.</strong> sizes for time" in markup
    assert r'<dt>What would change our mind</dt><dd>one <span class="math">\(x\)</span></dd>' in markup
    assert Tree(markup).links == ["#five-steps", "ledger.html#T-Bound", "errata.html#err-4"]


def test_the_reach_stands_beside_the_quick_verdict(mini, shown):
    fresh = {100 + n: {"T-Trend": "reproduced" if n < 14 else "partly", "T-Sum": "reproduced"} for n in range(19)}
    draws(mini, {0: {"T-Trend": "reproduced", "T-Sum": "reproduced"}, **fresh, 900: None})
    quick = [judge("T-Trend", "reproduced", measured="m"), judge("T-Sum", "reproduced", measured="m")]
    pages.claim_cards([*quick, judge("T-Bound", "corrected", measured="m")])
    markup = shown[0][0]
    assert '<span class="bn-reach bn-unsteady">14 of 20 draws</span>' in summary(markup, "T-Trend")
    assert "the same in 14 of 20 other draws of the seeds (partly in 5, failed in 1)" in card(markup, "T-Trend")
    assert '<span class="bn-reach">19 of 20 draws</span>' in summary(markup, "T-Sum")
    assert "draws" not in card(markup, "T-Bound")


def test_the_reach_of_a_quick_verdict_is_not_that_of_full_scale(mini, shown):
    draws(mini, {0: {"T-Trend": "partly"}, 100: {"T-Trend": "reproduced"}})
    full = [judge("T-Trend", "reproduced", measured="f", scale="full")]
    pages.claim_cards([judge("T-Trend", "partly", measured="m")], full)
    markup = shown[0][0]
    assert f'{badge("reproduced")} <span class="bn-reach">quick run: partly' in summary(markup, "T-Trend")
    assert re.findall(r"the same in 0 of 1 other draws", card(markup, "T-Trend")) == ["the same in 0 of 1 other draws"]


def test_no_quick_verdict_that_other_draws_overturn_stands_without_their_number(mini, shown):
    fresh = {100 + n: {"T-Trend": "reproduced" if n < 14 else "partly"} for n in range(20)}
    draws(mini, {0: {"T-Trend": "reproduced"}, **fresh})
    full = [judge("T-Trend", "not reproduced", measured="f", scale="full")]
    pages.claim_cards([judge("T-Trend", "reproduced", measured="m")], full)
    whole = card(shown[0][0], "T-Trend")
    assert "quick run: reproduced (14 of 20 draws)</span>" in summary(whole, "T-Trend")
    beside = re.findall(r'">reproduced</span>(.{55})', whole)
    assert beside == [' <span class="bn-reach bn-unsteady">14 of 20 draws</spa']


@pytest.mark.parametrize("facts", [{"sources": {"bnlab.theory.modes": "old"}}, {"code": "old"}, {"parameters": {}}])
def test_draws_of_earlier_code_are_never_shown_as_todays(mini, shown, facts):
    draws(mini, {seed: {"T-Sum": "reproduced"} for seed in (0, 100, 2100)}, **facts)
    pages.claim_cards([judge("T-Sum", "reproduced", measured="m")])
    markup = shown[0][0]
    assert '<span class="bn-reach bn-unsteady">2 of 2 draws, with earlier code</span>' in summary(markup, "T-Sum")
    assert "other draws of the seeds; drawn before the last change of the code behind it" in card(markup, "T-Sum")


def test_a_claim_is_judged_once_a_scale_and_on_its_own_side(mini, shown):
    quick, full = judge("T-Trend", "partly", measured="m"), judge("T-Trend", "partly", measured="m", scale="full")
    for arguments, words in (
        (([quick, quick],), "claim T-Trend is judged twice at scale quick"),
        (([quick], [full, full]), "claim T-Trend is judged twice at scale full"),
        (([full],), "claim T-Trend: scale full stands among those of quick"),
        (([], [quick]), "claim T-Trend: scale quick stands among those of full or own"),
    ):
        with pytest.raises(LedgerError, match=words):
            pages.claim_cards(*arguments)
    assert shown == []


def test_an_unknown_claim_has_no_card(mini, shown):
    with pytest.raises(LedgerError, match=r"claim T-Ghost is not in book/claims\.yml"):
        pages.claim_cards([ledger.Verdict("T-Ghost", "reproduced", "")])
    assert shown == []
