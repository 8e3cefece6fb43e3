"""The ledger page: every claim of the book with its verdict, as HTML with an anchor a claim that never changes."""

import html

import pandas as pd

from bnlab import book, ledger, verdicts
from bnlab.pages import badge, mathematics

COLUMNS = ("Claim", "The document says", "Quick run", "Full scale", "Verdict")


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
    _display(f'<table class="bn-claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>', plain)


def _row(claim: ledger.Claim, row: dict, page: str) -> str:
    measured = f'<span class="bn-place">{mathematics(row["measured"])}</span>'
    return (
        f'<tr id="{claim.id}"><th scope="row"><a href="{page}.html#claim-{claim.id}"><code>{claim.id}</code></a>'
        f'<span class="bn-place">{html.escape(claim.document)}, {mathematics(claim.place)}</span></th>'
        f'<td data-label="{COLUMNS[1]}">{mathematics(claim.statement)}</td>'
        f'<td data-label="{COLUMNS[2]}">{html.escape(row["quick"])}</td>'
        f'<td data-label="{COLUMNS[3]}">{html.escape(row["full"])}</td>'
        f'<td data-label="{COLUMNS[4]}">{badge(row["verdict"])}{measured}</td></tr>'
    )


def _display(markup: str, plain: str) -> None:
    from IPython.display import publish_display_data

    publish_display_data({"text/html": markup, "text/plain": plain})
