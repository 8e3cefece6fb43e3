"""Text and verdicts as HTML: formulas, badges, links between a claim's card, its row of the ledger and its errata."""

import html
import re
from collections.abc import Sequence
from decimal import Decimal

from bnlab.claims.claim_file import Amendment, Claim

EXPONENT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]\d+)\b")  # a number as programs write it
PLAIN = range(-3, 5)  # exponents of numbers that are written out


def mathematics(text: str) -> str:
    r"""Escape text for HTML, with ``$formulas$`` as MathJax reads them: in the book only inside the class "math".

    Numbers that a program wrote with an exponent are written as people do.

    >>> print(mathematics("$a < b$ & c"))
    <span class="math">\(a &lt; b\)</span> &amp; c
    >>> print(mathematics("9.4e+05, 5e+02 and $2e-10$"))
    9.4...×...10<sup>5</sup>, 500 and <span class="math">\(2\times10^{-10}\)</span>
    """
    parts = re.split(r"\$([^$]+)\$", html.escape(text, quote=False))
    told = [EXPONENT.sub(_in_formula, part) if number % 2 else numbers(part) for number, part in enumerate(parts)]
    return "".join(f'<span class="math">\\({part}\\)</span>' if n % 2 else part for n, part in enumerate(told))


def numbers(text: str) -> str:
    """Write as people do what a program wrote with an exponent; nothing is escaped.

    >>> print(numbers("2e+23, -1.5e-09 and 3e+02"))
    2...×...10<sup>23</sup>, -1.5...×...10<sup>−9</sup> and 300
    """
    return EXPONENT.sub(_in_prose, text)


def listed(words: Sequence[str]) -> str:
    """Join words by commas, the last by "and".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _in_prose(number: re.Match) -> str:
    # No-break spaces: a number stays on its line, in a narrow cell of a table too.
    return _written_out(number) or f"{number[1]}\u00a0×\u00a010<sup>{int(number[2])}</sup>".replace("-", "−")


def _in_formula(number: re.Match) -> str:
    return _written_out(number) or rf"{number[1]}\times10^{{{int(number[2])}}}"


def _written_out(number: re.Match) -> str:
    """Write a number of everyday size, or zero, without an exponent; else nothing."""
    value = Decimal(number[0])
    return f"{value:f}" if int(number[2]) in PLAIN or not value else ""


def badge(verdict: str) -> str:
    """Draw a verdict as a badge: its words, with a colour that repeats them."""
    return f'<span class="bn-verdict bn-{verdict.replace(" ", "-")}">{html.escape(verdict)}</span>'


def link(address: str, text: str) -> str:
    """Link to a page or a place on it."""
    return f'<a href="{html.escape(address)}">{html.escape(text)}</a>'


def errata_links(claim: Claim) -> list[str]:
    """Link to the errata that a claim names, on the page of errata."""
    return [link(f"errata.html#{name.lower()}", name) for name in claim.errata]


def definitions(pairs: Sequence[tuple[str, str]], classes: str) -> str:
    """Lay out names and their HTML as a description list; what is empty is left out."""
    rows = "".join(f"<div><dt>{name}</dt><dd>{content}</dd></div>" for name, content in pairs if content)
    return f'<dl class="{classes}">{rows}</dl>'


def amendment(entry: Amendment) -> str:
    """Tell when and why a criterion was replaced, what it said before, and what that says of the result."""
    return (
        f"<p><strong>Amended on {entry.date}.</strong> {mathematics(entry.why)}</p>"
        f"<p>Before, it read: {mathematics(entry.earlier)}</p>"
        f"<p>By that criterion: {mathematics(entry.says)}</p>"
    )


def settled(text: str) -> str:
    """Tell what else was settled when a result had been seen."""
    return f"<p><strong>Settled after a look.</strong> {mathematics(text)}</p>"


def exceptions(claim: Claim) -> str:
    """Tell what of a claim is younger than the result it judges: criteria replaced, all else settled after a look."""
    parts = [amendment(entry) for entry in claim.amended]
    parts += [settled(text) for text in claim.settled_after_a_look]
    return f'<div class="bn-exception">{"".join(parts)}</div>' if parts else ""


def place(claim: Claim) -> str:
    """Say where in which document a claim stands."""
    return small(mathematics(f"{claim.document}, {claim.place}"))


def small(markup: str) -> str:
    """Set HTML in small type on a line of its own; nothing stays nothing."""
    return f'<span class="bn-place">{markup}</span>' if markup else ""


def display(markup: str, plain: str, metadata: dict | None = None) -> None:
    """Publish HTML with its plain text, and the metadata by which other programs read it back."""
    from IPython.display import publish_display_data  # late: reading the ledger needs no Jupyter

    publish_display_data({"text/html": markup, "text/plain": plain}, metadata=metadata or {})
