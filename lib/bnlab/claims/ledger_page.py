"""The ledger page: every claim of the book in a line of one table, with an anchor a claim that never changes.

The table is whole without scripts; `ledger.js` adds filters, a search and an order to what is there. The page also
lists in one place every criterion, size or tolerance that is younger than the result it judges, so that "written before
the run" can be told with its exceptions.
"""

import html
from collections.abc import Callable, Iterable

import pandas as pd

from bnlab.claims import book, ledger, standing, verdicts
from bnlab.claims.markup import amendment, badge, definitions, display, errata_links, link, mathematics, settled, small
from bnlab.claims.reach import STEADY

COLUMNS = ("Claim", "The document says", "Ch.", "Kind", "Verdict", "Decided by")


def counts() -> pd.DataFrame:
    """How many claims stand under each verdict, by document: a row a document, a column a verdict that occurs."""
    known, found = ledger.claims(), verdicts.collect()
    rows = [{"document": known[row["id"]].document, "verdict": row["verdict"]} for row in found]
    table = pd.crosstab(*(pd.Series([r[key] for r in rows], name=key) for key in ("document", "verdict")))
    order = [v for v in (*ledger.VERDICTS, "not built") if v in table.columns]
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index, order].rename_axis(
        columns=None
    )


def show_counts() -> None:
    """Display how many claims stand under each verdict, by document, and which of them other draws overturn."""
    shown, found = counts().reset_index(), verdicts.collect()
    table = shown.to_html(index=False, border=0, classes="bn-table")
    display(f"{table}<p>{_unsteady(found, link)}</p>", f"{shown.to_string(index=False)}\n{_unsteady(found)}")


def _unsteady(rows: list[dict], linked: Callable[[str, str], str] = lambda address, text: text) -> str:
    """Say of how many verdicts other draws are recorded, and name those that stand in the counts but are not steady."""
    quick = [row for row in rows if row["scale"] == "quick"]
    drawn = [row for row in quick if row["reach"]]
    words = f"Of {len(quick)} verdicts that a quick run decides, other draws of the seeds are recorded for {len(drawn)}"
    if not drawn:
        return f"{words}."
    moved = [row for row in drawn if row["reach"]["agree"] < STEADY * row["reach"]["draws"]]
    named = ", ".join(f"{linked('#' + row['id'], row['id'])} ({row['reach']['short']})" for row in moved)
    often = ", with how often each came out again" if moved else ""  # the numbers are not of what overturns it
    words += f". Overturned more often than one time in twenty{often}: {named or 'none'}."
    if earlier := [row for row in drawn if row["reach"]["changed"]]:
        chapters = ", ".join(dict.fromkeys(row["chapter"] for row in earlier))
        words += f" Drawn before the last change of the code behind them: {len(earlier)}, of chapters {chapters}."
    return words


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
    body = f'<details class="bn-fold"><summary>All of them</summary><ul class="bn-exceptions">{items}</ul></details>'
    display(f"<p>{count}</p>{body if items else ''}", count)


def show_claims() -> None:
    """Display every claim, a line each that unfolds; each row's id is the claim's own, for links that last."""
    known, pages = ledger.claims(), {path.stem[:2]: path.stem for path in book.chapter_paths()}
    rows = sorted((row for row in verdicts.collect() if row["chapter"] in pages), key=lambda row: row["chapter"])
    body = "".join(_row(known[row["id"]], row, pages[row["chapter"]]) for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    plain = "\n".join(f"{row['id']}: {row['verdict']}" for row in rows)
    display(f'<table class="bn-ledger"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>', plain)


def _row(claim: ledger.Claim, row: dict, page: str) -> str:
    """Lay out one claim: what is filtered and sorted by stands in the row's data, what else there is to say, folded."""
    data = {"document": claim.document, "chapter": claim.chapter, "kind": claim.kind, "verdict": row["verdict"]}
    data |= {"scale": row["scale"] or "undecided", "draws": standing.steadiness(row)}
    attributes = "".join(f' data-{name}="{html.escape(value)}"' for name, value in data.items())
    amended = ' <abbr title="criterion amended after a look">†</abbr>' if claim.amended else ""
    cells = [
        _folded(claim, row, page),
        claim.chapter,
        f'<abbr title="{ledger.KINDS[claim.kind]}">{claim.kind}</abbr>',
        badge(row["verdict"]) + amended,
        _decided_by(row),
    ]
    body = "".join(f'<td data-label="{name}">{text}</td>' for name, text in zip(COLUMNS[1:], cells, strict=True))
    head = link(f"{page}.html#claim-{claim.id}", claim.id)
    return f'<tr id="{claim.id}"{attributes}><th scope="row">{head}</th>{body}</tr>'


def _decided_by(row: dict) -> str:
    """Say whose the verdict is; of a quick run, also in how many other draws it came out again."""
    if row["scale"] == "full":
        return "full scale"
    if row["scale"] != "quick":
        return "–"
    reach = row["reach"]
    if not reach:
        return "quick"
    earlier = ' <abbr title="drawn before the last change of the code behind it">‡</abbr>' if reach["changed"] else ""
    return f'quick, <abbr title="{reach["short"]}">{reach["agree"]}/{reach["draws"]}</abbr>{earlier}'


def _folded(claim: ledger.Claim, row: dict, page: str) -> str:
    """The statement, and below it what unfolds: where it stands, both runs, what was measured, links."""
    links = [link(f"{page}.html#claim-{claim.id}", "card"), *errata_links(claim)]
    if claim.shown_at:
        links.insert(1, link(f"{page}.html#{claim.shown_at}", "where it is shown"))
    reach = small(row["reach"]["words"]) if row["reach"] else ""
    caveats = [f"amended on {entry.date}" for entry in claim.amended]
    caveats += ["partly settled after a look"] if claim.settled_after_a_look else []
    more = [
        ("Where", mathematics(f"{claim.document}, {claim.place}")),
        ("Quick run", row["quick"] + reach),
        ("Full scale", row["full"]),
        ("We measure", mathematics(row["measured"])),
        ("Direction and confidence", f"{standing.direction(row)}; {standing.confidence(row)}"),
        ("Criterion", ", ".join(caveats)),
        ("See", ", ".join(links)),
    ]
    # A statement may be a formula alone, which has no name to read out.
    name = f'<span class="visually-hidden">{claim.id}: </span>{mathematics(claim.statement)}'
    return f"<details><summary>{name}</summary>{definitions(more, 'bn-more')}</details>"


def _card_links(claims: Iterable[ledger.Claim], pages: dict[str, str]) -> str:
    links = (
        link(f"{pages[claim.chapter]}.html#claim-{claim.id}", claim.id) if claim.chapter in pages else claim.id
        for claim in claims
    )
    return f"<p>{', '.join(links)}</p>"
