"""The ledger page: every claim of the book with its verdict, as HTML with an anchor a claim that never changes."""

import html

import pandas as pd

from bnlab.claims import book, ledger, verdicts
from bnlab.claims.pages import badge, mathematics

COLUMNS = ("Claim", "The document says", "Quick run", "Full scale", "We measure", "Verdict")


def show_counts() -> None:
    """Display how many claims stand under each verdict, by document."""
    known = ledger.claims()
    rows = [{"document": known[row["id"]].document, "verdict": row["verdict"]} for row in verdicts.collect()]
    counts = pd.crosstab(*(pd.Series([r[key] for r in rows], name=key) for key in ("document", "verdict")))
    order = [v for v in (*ledger.VERDICTS, "not built") if v in counts.columns]
    _display(counts[order].reset_index().to_html(index=False, border=0, classes="bn-table"), counts[order].to_string())


def show_chapter(number: str) -> None:
    """Display the claims of one chapter; each row's id is the claim's own, for links that last."""
    known = ledger.claims()
    page = book.chapter(number).path.stem
    rows = [row for row in verdicts.collect() if row["chapter"] == number]
    body = "".join(_row(known[row["id"]], row, page) for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    plain = "\n".join(f"{row['id']}: {row['verdict']}" for row in rows)
    table = f'<table class="bn-claims" role="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    _display(table, plain)


def _row(claim: ledger.Claim, row: dict, page: str) -> str:
    link = f'<a href="{page}.html#claim-{claim.id}"><code>{claim.id}</code></a>'
    place = f'<span class="bn-place">{html.escape(claim.document)}, {mathematics(claim.place)}</span>'
    cells = zip(COLUMNS[1:5], (mathematics(claim.statement), row["quick"], row["full"], mathematics(row["measured"])),
                ("bn-wide", "", "", "bn-wide"), strict=True)  # fmt: skip
    body = "".join(f'<td role="cell" class="{wide}" data-label="{name}">{text}</td>' for name, text, wide in cells)
    return (
        f'<tr role="row" id="{claim.id}"><th role="rowheader" scope="row">{link}{place}</th>{body}'
        f'<td role="cell" data-label="{COLUMNS[5]}">{badge(row["verdict"])}</td></tr>'
    )


def _display(markup: str, plain: str) -> None:
    from IPython.display import publish_display_data

    publish_display_data({"text/html": markup, "text/plain": plain})
