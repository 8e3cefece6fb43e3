"""The explanations of Batch Normalization side by side: what each predicts, the claims that test it, how they came out.

A claim that is reproduced speaks for an explanation or against it, as ``book/explanations.yml`` declares; one that is
refuted or not reproduced speaks the other way, one that holds in part is mixed, one without a verdict leaves it open.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from bnlab.claims import book, ledger, verdicts
from bnlab.claims.cards import NOT_RUN, SHORT
from bnlab.claims.ledger import LedgerError
from bnlab.claims.markup import badge, display, link, mathematics, small

FIELDS = ("name", "chapter", "predicts", "for", "against", "cause", "weighs_most", "would_change_our_mind")
SAYS = {"reproduced": 1, "refuted": -1, "not reproduced": -1, "partly": 0, "corrected": 0}
WORDS = {1: "for it", 0: "mixed", -1: "against it", None: "open"}


@dataclass(frozen=True)
class Explanation:
    """One account of why Batch Normalization works."""

    name: str
    chapter: str
    predicts: str
    tests: dict[str, bool]  # claim -> whether it speaks for the explanation when it is reproduced
    causes: tuple[str, ...]  # those that change, or hold fixed, what the explanation names
    weighs_most: str  # the one that the front page names
    would_change_our_mind: str


def explanations(where: Path | None = None) -> list[Explanation]:
    """Read ``book/explanations.yml``.

    Raises:
        LedgerError: it cannot be read, a field is missing or unknown, or a claim is unknown or named twice.
    """
    path = (where or book.root()) / "book" / "explanations.yml"
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise LedgerError(f"{path} cannot be read ({' '.join(str(error).split())[:200]}).") from None
    known = ledger.claims(where)
    return [_explanation(row, known) for row in rows]


def _explanation(row: object, known: dict) -> Explanation:
    if not isinstance(row, dict) or sorted(row) != sorted(FIELDS):
        raise LedgerError(f"explanation {str(row)[:60]!r} must have {', '.join(FIELDS)} and nothing else.")
    names = [*row["for"], *row["against"]]
    for name in names:
        if name not in known:
            raise LedgerError(f"explanation {row['name']!r}: {name!r} is no claim of the ledger.")
        if names.count(name) > 1:
            raise LedgerError(f"explanation {row['name']!r}: {name} is named twice.")
    for field, named in (("weighs_most", [row["weighs_most"]]), ("cause", row["cause"])):
        if strange := [name for name in named if name not in names]:
            raise LedgerError(f"explanation {row['name']!r}: {field}: {strange[0]!r} is none of its tests.")
    tests = {name: name in row["for"] for name in names}
    return Explanation(row["name"], row["chapter"], row["predicts"], tests, tuple(row["cause"]), row["weighs_most"],
                       row["would_change_our_mind"])  # fmt: skip


def outcomes(where: Path | None = None) -> pd.DataFrame:
    """One row a test.

    Columns: ``explanation``, ``claim``, ``verdict``, ``says`` (one of `WORDS`), ``cause``, ``measured``, and ``where``,
    the run and the data that the number is from.
    """
    found = {row["id"]: row for row in verdicts.collect(where)}
    rows = []
    for explanation in explanations(where):
        for claim, in_favour in explanation.tests.items():
            verdict = found[claim]["verdict"]
            says = SAYS.get(verdict)
            says = says if says is None or in_favour else -says
            cause = claim in explanation.causes
            told = found[claim]["measured"], _where(found[claim])
            rows.append((explanation.name, claim, verdict, WORDS[says], cause, *told))
    return pd.DataFrame(rows, columns=["explanation", "claim", "verdict", "says", "cause", "measured", "where"])


def _where(row: dict) -> str:
    """Name the run that decides and its data; where full scale is what lacks, the data alone."""
    run = "" if row["verdict"] == NOT_RUN else SHORT.get(row["scale"], "")
    return ", ".join(filter(None, (run, row["data"])))


def show_matrix() -> None:
    """Display a row an explanation: how many of its tests say what, and what the one that weighs most measured."""
    found = outcomes()
    tests = {(row.explanation, row.claim): row for row in found.itertuples()}
    counts = pd.crosstab(found["explanation"], found["says"])
    columns = [word for word in WORDS.values() if word in counts]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Explanation", *columns, "The test that weighs most"))
    pages = {path.stem[:2]: path.stem for path in book.chapter_paths()}
    body, plain = [], []
    for explanation in explanations():
        test = tests[explanation.name, explanation.weighs_most]
        numbers = [int(counts.loc[explanation.name, word]) for word in columns]
        cells = "".join(f'<td class="bn-count">{n or "–"}</td>' for n in numbers)
        name = link(f"{pages[explanation.chapter]}.html", explanation.name)
        body.append(f'<tr><th scope="row">{name}</th>{cells}<td>{_outcome(test, pages)}</td></tr>')
        said = ", ".join(f"{n} {word}" for n, word in zip(numbers, columns, strict=True) if n)
        plain.append(f"{explanation.name}: {said}")
    rows = "".join(body)
    display(f'<table class="bn-matrix"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>', "\n".join(plain))


def show() -> None:
    """Display every explanation: its prediction, its tests and what they measured, what would change our mind."""
    found = outcomes()
    pages = {path.stem[:2]: path.stem for path in book.chapter_paths()}
    parts, plain = [], []
    for explanation in explanations():
        rows = found[found["explanation"] == explanation.name]
        counts = ", ".join(f"{n} {word}" for word, n in rows["says"].value_counts(sort=False).items())
        items = "".join(f"<li>{_outcome(row, pages)}</li>" for row in rows.itertuples())
        chapter = link(f"{pages[explanation.chapter]}.html", f"chapter {explanation.chapter}")
        parts.append(
            f"<h3>{explanation.name}</h3><p>{mathematics(explanation.predicts)} ({chapter}; tests: {counts})</p>"
            f"<ul>{items}</ul><p><em>What would change our mind.</em> {mathematics(explanation.would_change_our_mind)}"
            "</p>"
        )
        plain.append(f"{explanation.name}: {counts}")
    display("".join(parts), "\n".join(plain))


def _outcome(row, pages: dict[str, str]) -> str:
    """One test: its claim, the verdict, what that says of the explanation, and what was measured on which data."""
    claim = link(f"{pages[ledger.claims()[row.claim].chapter]}.html#claim-{row.claim}", row.claim)
    kind = ", the cause tested" if row.cause else ""
    measured = ": ".join(filter(None, (row.where[:1].upper() + row.where[1:], row.measured)))
    return f"{claim} {badge(row.verdict)} <strong>{row.says}</strong>{kind}{small(mathematics(measured))}"
