"""The ledger page: every claim of the book with its verdict, as HTML with an anchor a claim that never changes.

It also lists in one place every criterion, size or tolerance that is younger than the result it judges, so that
"written before the run" can be told with its exceptions.
"""

from collections.abc import Callable, Iterable

import pandas as pd

from bnlab.claims import book, ledger, verdicts
from bnlab.claims.markup import amendment, badge, display, errata_links, link, mathematics, place, settled, small

COLUMNS = ("Claim", "The document says", "Quick run", "Full scale", "We measure", "Verdict")


def show_counts() -> None:
    """Display how many claims stand under each verdict, by document, and which of them other draws overturn."""
    known, found = ledger.claims(), verdicts.collect()
    rows = [{"document": known[row["id"]].document, "verdict": row["verdict"]} for row in found]
    counts = pd.crosstab(*(pd.Series([r[key] for r in rows], name=key) for key in ("document", "verdict")))
    order = [v for v in (*ledger.VERDICTS, "not built") if v in counts.columns]
    shown = counts[order].rename_axis(columns=None).reset_index()
    table = shown.to_html(index=False, border=0, classes="bn-table")
    display(f"{table}<p>{_unsteady(found, link)}</p>", f"{shown.to_string(index=False)}\n{_unsteady(found)}")


def _unsteady(rows: list[dict], linked: Callable[[str, str], str] = lambda address, text: text) -> str:
    """Say of how many verdicts other draws are recorded, and name those that stand in the counts but are not steady."""
    quick = [row for row in rows if row["scale"] == "quick"]
    drawn = [row for row in quick if row["reach"]]
    words = f"Of {len(quick)} verdicts that a quick run decides, other draws of the seeds are recorded for {len(drawn)}"
    moved = [row for row in drawn if not row["reach"]["steady"]]
    if not drawn:
        return f"{words}."
    if not moved:
        return f"{words}; none is overturned more often than one time in twenty."
    named = ", ".join(f"{linked('#' + row['id'], row['id'])} ({row['reach']['short']})" for row in moved)
    why = "overturned more often than one time in twenty, or drawn with earlier code only"
    return f"{words}. Of these are {why}: {named}."


def show_exceptions() -> None:
    """Display every amended criterion and all else settled after a look; claims with the same text stand together."""
    known = ledger.claims()
    amended = [claim for claim in known.values() if claim.amended]
    by_text: dict[str, list[ledger.Claim]] = {}
    for claim in known.values():
        for text in claim.settled_after_a_look:
            by_text.setdefault(text, []).append(claim)
    settled_ids = {claim.id for claims in by_text.values() for claim in claims}
    count = (
        f"Claims with an amended criterion: {len(amended)} of {len(known)}. "
        f"Claims with something else settled after a look: {len(settled_ids)}."
    )
    entries = [
        ([claim], "".join(map(amendment, claim.amended)) + f"<p>Now it reads: {mathematics(claim.criterion)}</p>")
        for claim in amended
    ]
    entries += [(claims, settled(text)) for text, claims in by_text.items()]
    pages = {path.stem[:2]: path.stem for path in book.chapter_paths()}
    items = "".join(f"<li>{_card_links(claims, pages)}{words}</li>" for claims, words in entries)
    display(f'<p>{count}</p><ul class="bn-exceptions">{items}</ul>' if items else f"<p>{count}</p>", count)


def show_chapter(number: str) -> None:
    """Display the claims of one chapter; each row's id is the claim's own, for links that last."""
    known = ledger.claims()
    page = book.chapter(number).path.stem
    rows = [row for row in verdicts.collect() if row["chapter"] == number]
    body = "".join(_row(known[row["id"]], row, page) for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    plain = "\n".join(f"{row['id']}: {row['verdict']}" for row in rows)
    display(f'<table class="bn-claims" role="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>', plain)


def _row(claim: ledger.Claim, row: dict, page: str) -> str:
    links = [link(f"{page}.html#claim-{claim.id}", "card"), *errata_links(claim)]
    if claim.shown_at:
        links.insert(1, link(f"{page}.html#{claim.shown_at}", "where it is shown"))
    words = small(row["reach"]["words"]) if row["reach"] else ""
    cells = [
        (mathematics(claim.statement) + small(", ".join(links)), "bn-wide"),
        (row["quick"] + words, ""),
        (row["full"], ""),
        (mathematics(row["measured"]), "bn-wide"),
        (badge(row["verdict"]) + small(_caveats(claim, row)), ""),
    ]
    body = "".join(
        f'<td role="cell" class="{wide}" data-label="{name}">{text}</td>'
        for name, (text, wide) in zip(COLUMNS[1:], cells, strict=True)
        if text
    )
    head = f"{link(f'{page}.html#claim-{claim.id}', claim.id)}{place(claim)}"
    return f'<tr role="row" id="{claim.id}"><th role="rowheader" scope="row">{head}</th>{body}</tr>'


def _caveats(claim: ledger.Claim, row: dict) -> str:
    """Say beside the badge what must not be missed: draws that overturn the verdict, a criterion younger than it."""
    caveats = []
    if row["reach"] and not row["reach"]["steady"] and row["scale"] == "quick":
        caveats.append(row["reach"]["short"])
    if claim.amended:
        caveats.append("criterion amended")
    elif claim.settled_after_a_look:
        caveats.append("partly settled after a look")
    return ", ".join(caveats)


def _card_links(claims: Iterable[ledger.Claim], pages: dict[str, str]) -> str:
    links = (
        link(f"{pages[claim.chapter]}.html#claim-{claim.id}", claim.id) if claim.chapter in pages else claim.id
        for claim in claims
    )
    return f"<p>{', '.join(links)}</p>"
