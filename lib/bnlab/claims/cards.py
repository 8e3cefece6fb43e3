"""One card a claim: what the document says, what we measure, by which criterion, and how far the verdict reaches."""

from collections.abc import Iterable, Sequence

from bnlab.claims import ledger, reach
from bnlab.claims.claim_file import KINDS, Claim, LedgerError
from bnlab.claims.markup import badge, definitions, display, errata_links, exceptions, link, mathematics, place
from bnlab.claims.verdicts import as_metadata, deciding, undecided

SIDES = {"quick": "Quick run", "full": "Full scale", "own": "Other settings, compared only"}
NOT_RUN = "not run at full scale"
WITHOUT = {"quick": "does not decide", "full": "not run", "own": "not run"}  # what NOT_RUN means on either side
SHORT = {"quick": "quick run", "full": "full scale", "own": "other settings"}


def claim_cards(quick: Sequence[ledger.Verdict], full: Sequence[ledger.Verdict] = ()) -> None:
    """Display one card a claim, the quick run's verdict and the recorded one side by side; once a chapter.

    A card is folded: its summary line holds the id, the statement and the verdict that decides. ``full`` are verdicts
    of scale "full" or "own".

    Raises:
        LedgerError: a claim is judged twice on one side, or a verdict stands on the wrong side.
    """
    known = ledger.claims()
    here, there = _by_id(quick, ("quick",)), _by_id(full, ("full", "own"))
    ids = list(dict.fromkeys([*here, *there]))
    for name in ids:
        if name not in known:
            raise LedgerError(f"claim {name} is not in book/claims.yml: add its row there first.")
    draws = {chapter: reach.of_book(chapter) for chapter in {known[name].chapter for name in ids}}
    cards = "".join(_card(known[name], here.get(name), there.get(name), draws[known[name].chapter]) for name in ids)
    display(
        f'<div class="bn-cards">{cards}</div>',
        "\n".join(f"{v.id} ({v.scale}): {v.verdict}. {v.measured}" for v in [*here.values(), *there.values()]),
        as_metadata([*here.values(), *there.values()]),
    )


def _by_id(verdicts: Iterable[ledger.Verdict], scales: Sequence[str]) -> dict[str, ledger.Verdict]:
    found: dict[str, ledger.Verdict] = {}
    for verdict in verdicts:
        if verdict.scale not in scales:
            raise LedgerError(f"claim {verdict.id}: scale {verdict.scale} stands among those of {' or '.join(scales)}.")
        if verdict.id in found:
            raise LedgerError(f"claim {verdict.id} is judged twice at scale {verdict.scale}.")
        found[verdict.id] = verdict
    return found


def _card(claim: Claim, quick: ledger.Verdict | None, full: ledger.Verdict | None, draws: dict | None) -> str:
    again = reach.reach(draws, claim.id, quick.verdict) if quick else None
    body = definitions(
        [
            ("The document says", mathematics(claim.statement) + place(claim)),
            ("We measure", _sides(claim, quick, full, again)),
            (f"Criterion <span>({KINDS[claim.kind]})</span>", mathematics(claim.criterion) + exceptions(claim)),
            ("What would change our mind", mathematics(claim.would_change_our_mind)),
            ("See also", ", ".join(_links(claim))),
        ],
        "bn-card-body",
    )
    line = f'<span class="bn-line"><code>{claim.id}</code>{_verdict_line(claim, quick, full, again)}</span>'
    teaser = f'<span class="bn-teaser">{mathematics(claim.statement)}</span>'
    return f'<details class="bn-card" id="claim-{claim.id}"><summary>{line}{teaser}</summary>{body}</details>'


def _verdict_line(
    claim: Claim, quick: ledger.Verdict | None, full: ledger.Verdict | None, again: reach.Reach | None
) -> str:
    """Show the verdict that decides, its reach, and the other side's where that differs."""
    decides = deciding(claim, quick, full)
    word = decides.verdict if decides else undecided(claim, quick)
    parts = [badge(word)]
    if again and decides is quick:
        parts.append(_short(again))
    if claim.amended:
        parts.append('<span class="bn-reach">criterion amended</span>')
    for other in (quick, full):
        if other and other is not decides and other.verdict not in (word, NOT_RUN):
            draws = f" ({again.short})" if other is quick and again and not again.steady else ""
            parts.append(f'<span class="bn-reach">{SHORT[other.scale]}: {other.verdict}{draws}</span>')
    return " ".join(parts)


def _sides(claim: Claim, quick: ledger.Verdict | None, full: ledger.Verdict | None, again: reach.Reach | None) -> str:
    sides = [_side(quick, again)] if quick else []
    sides += [_side(full, None)] if full else []
    if full is None and claim.kind in "XH":
        decides = "none is recorded" + ("" if quick and quick.verdict == NOT_RUN else ": the quick run decides")
        words = decides if claim.kind == "X" else "not run: nothing else could decide"
        sides.append(f'<div><p class="bn-side">{SIDES["full"]}: {words}.</p></div>')
    return f'<div class="bn-sides">{"".join(sides)}</div>'


def _side(verdict: ledger.Verdict, again: reach.Reach | None) -> str:
    facts = details(verdict) + ([again.sentence] if again else [])
    draws = f" {_short(again)}" if again and not again.steady else ""
    word = f": {WITHOUT[verdict.scale]}." if verdict.verdict == NOT_RUN else f" {badge(verdict.verdict)}{draws}"
    head = f'<p class="bn-side">{SIDES[verdict.scale]}{word}</p>'
    foot = f'<p class="bn-place">{mathematics("; ".join(facts))}</p>' if facts else ""
    return f"<div>{head}<p>{mathematics(verdict.measured)}</p>{foot}</div>"


def _short(again: reach.Reach) -> str:
    return f'<span class="bn-reach{"" if again.steady else " bn-unsteady"}">{again.short}</span>'


def details(verdict: ledger.Verdict) -> list[str]:
    """Say what stands behind a verdict: interval, seeds, data, and in how many of the declared settings it holds."""
    parts = [verdict.data] if verdict.data else []
    if verdict.seeds:
        parts.append(f"{verdict.seeds} seed" + ("s" if verdict.seeds > 1 else ""))
    if verdict.interval:
        low, high = verdict.interval
        effect = "" if verdict.statistic is None else f"effect {verdict.statistic:.3g}, "
        parts.append(f"{effect}interval or quartiles {low:.3g} to {high:.3g}")
    if verdict.settings:
        parts.append(f"holds in {verdict.settings[0]} of the {verdict.settings[1]} settings that the criterion names")
    return parts


def _links(claim: Claim) -> list[str]:
    shown = [link(f"#{claim.shown_at}", "where it is shown")] if claim.shown_at else []
    return [*shown, link(f"ledger.html#{claim.id}", "its row in the ledger"), *errata_links(claim)]
