"""How far a quick verdict reaches: in how many other draws of the seeds it came out again.

``bnlab reseed`` executes a chapter's quick settings with other seeds and keeps what each draw decided in
``data/recorded/reseed/<chapter>.json``. The draw that stands in the book is not counted: it agrees with itself. Draws
that earlier code made are told apart from those of today.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bnlab.claims import book, draws
from bnlab.claims.claim_file import LedgerError
from bnlab.claims.ledger import UNDECIDED

STEADY = 19 / 20  # a verdict that other draws overturn more often stands nowhere without its reach beside it
BIGGEST_FILE = 1_000_000  # bytes


@dataclass(frozen=True)
class Reach:
    """In how many other draws a verdict came out again, and what came out where it did not."""

    agree: int
    draws: int
    others: tuple[tuple[str, int], ...]  # (verdict or "failed", in how many draws), most frequent first
    outdated: bool  # the book's own draw decided otherwise when the others were counted
    changed: tuple[str, ...] = ()  # modules, or parts of the chapter, that are no longer as they were then

    @property
    def steady(self) -> bool:
        """Whether at most one draw in twenty, of those that today's code makes, overturns the verdict."""
        return self.agree >= STEADY * self.draws and not self.outdated and not self.changed

    @property
    def short(self) -> str:
        """Say it in a few words, for beside a badge."""
        state = ", with earlier code" if self.changed else ", outdated" if self.outdated else ""
        return f"{self.agree} of {self.draws} draws{state}"

    @property
    def sentence(self) -> str:
        """Say it with what came out where it did not come out again."""
        otherwise = ", ".join(f"{word} in {count}" for word, count in self.others)
        words = f"the same in {self.agree} of {self.draws} other draws of the seeds"
        words += f" ({otherwise})" if otherwise else ""
        words += "; when they were counted, the book's own draw decided otherwise" if self.outdated else ""
        return words + ("; drawn before the last change of the code behind it" if self.changed else "")

    def as_dict(self) -> dict:
        """Give it as JSON types."""
        facts = {"agree": self.agree, "draws": self.draws, "others": dict(self.others), "outdated": self.outdated}
        words = {"steady": self.steady, "short": self.short, "words": self.sentence}
        return facts | {"changed": list(self.changed)} | words


def path_of(folder: Path, chapter: str) -> Path:
    """Name the file that keeps the draws of a chapter, in the project's ``data/recorded`` or another such folder."""
    return Path(folder) / "reseed" / f"{chapter}.json"


def load(folder: Path, chapter: str) -> dict | None:
    """Read what ``bnlab reseed`` kept of a chapter; None where it has not run.

    Raises:
        LedgerError: the file is damaged or foreign; the line names it and the remedy.
    """
    path = path_of(folder, chapter)
    try:
        if path.stat().st_size > BIGGEST_FILE:
            raise ValueError(f"larger than {BIGGEST_FILE} bytes")
        kept = json.loads(path.read_text(encoding="utf-8"))
        _refuse_foreign(kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        remedy = f"restore it from version control, or delete it and run bnlab reseed {chapter}"
        raise LedgerError(f"{path} cannot be used ({error}): {remedy}.") from None
    return kept


def reach(kept: dict | None, claim_id: str, verdict: str) -> Reach | None:
    """Count in how many of the other draws that `load` gave a verdict came out.

    None where there is no such draw, or no verdict that another draw could overturn.
    """
    if kept is None or verdict in UNDECIDED:
        return None
    found = {draw["seed"]: _decided(draw, claim_id) for draw in kept["draws"]}
    own = found.pop(kept["book_seed"], None)
    if not found or not {*found.values(), own} - {"failed", None}:  # no draws, or a claim younger than all of them
        return None
    counts = Counter("not judged" if decided is None else decided for decided in found.values())
    agree = counts.pop(verdict, 0)
    others, changed = tuple(counts.most_common()), tuple(kept.get("changed", ()))
    return Reach(agree, len(found), others, own not in (None, verdict), changed)


def of_book(chapter: str, where: Path | None = None) -> dict | None:
    """Read the draws that stand in the book's own ``data/recorded``, and what has ``changed`` since they were made."""
    kept = load((where or book.root()) / "data" / "recorded", chapter)
    return kept and kept | {"changed": draws.changed(kept, book.chapter(chapter, where))}


def _decided(draw: dict, claim_id: str) -> str | None:
    return "failed" if draw["failed"] else draw["verdicts"].get(claim_id, {}).get("verdict")


def _refuse_foreign(kept: object) -> None:
    if not isinstance(kept, dict) or not isinstance(kept.get("draws"), list) or type(kept.get("book_seed")) is not int:
        raise ValueError("not a mapping with draws and book_seed")
    if not isinstance(kept.get("sources", {}), dict):
        raise ValueError("its sources are no mapping")
    for draw in kept["draws"]:
        if not (isinstance(draw, dict) and type(draw.get("seed")) is int and "failed" in draw):
            raise ValueError("a draw lacks its seed")
        found = draw.get("verdicts")
        if not isinstance(found, dict) or not all(
            isinstance(entry, dict) and isinstance(entry.get("verdict"), str) for entry in found.values()
        ):
            raise ValueError(f"the verdicts of seed {draw['seed']} are none")
    seeds = [draw["seed"] for draw in kept["draws"]]
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed stands there twice")
