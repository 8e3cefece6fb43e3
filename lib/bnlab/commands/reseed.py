"""Execute a chapter's quick settings with other seeds: which verdicts does another draw overturn, and how often?

Each draw is the chapter executed whole, by ``bnlab run``, one process a core. What it decided is kept at once, so that
a run stopped at any moment goes on where it was; what decided it (the chapter's code, the library, the versions) is
part of its name, so that draws of two states are never counted together.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import bnlab
from bnlab.claims import book, reach, verdicts
from bnlab.commands import run as rerun
from bnlab.records import recorded

# A chapter uses seeds from its first one on, and some beyond: chapter 07 tunes on those that begin 1000 later.
APART = 2000
VERSIONS = ("numpy", "pandas", "scipy", "torch")


class ReseedError(RuntimeError):
    """Draws that could not be made. Its text is one clear line."""


def reseed(
    chapter: book.Chapter, count: int, first: int, folder: Path, tell: Callable[[str], None] = lambda line: None
) -> dict:
    """Make the book's own draw and ``count`` others (seeds first, first + 2000, ...), and keep them in ``folder``.

    Args:
        chapter: with a parameter ``seed``.
        count: how many other draws, at least 1.
        first: the first other seed, at least 100 above the book's own.
        folder: the project's ``data/recorded``, or another such folder; the result is ``reseed/<chapter>.json`` there.
        tell: takes a line about each draw that is done.

    Returns:
        What was kept. A draw in which the chapter failed says why; called again, it is made again.

    Raises:
        ReseedError: the chapter has no seed, the seeds overlap, the folder cannot be written, a draw could not be made
            (its process was killed, say), or the library was changed meanwhile.
        ParameterError: the chapter refuses a seed.
    """
    own = next((p.default for p in chapter.parameters if p.name == "seed"), None)
    if own is None:
        raise ReseedError(f"chapter {chapter.number} has no parameter seed, so it cannot be drawn again.")
    if count < 1 or first < own + 100:
        raise ReseedError(f"{count} draws from seed {first}: give at least 1, from a seed of at least {own + 100}.")
    seeds = [own, *range(first, first + count * APART, APART)]
    rerun.check(chapter, {"seed": seeds[-1]})
    facts = _facts(chapter)
    final, partial = reach.path_of(folder, chapter.number), Path(folder) / ".partial" / f"reseed-{chapter.number}.json"
    done = {**_kept(final, facts["key"]), **_kept(partial, facts["key"])}
    waiting = [seed for seed in seeds if seed not in done]
    _refuse_overlap(seeds, done)

    def keep(draw: dict) -> None:
        if (now := _facts(chapter)["key"]) != facts["key"]:
            raise ReseedError(
                f"chapter {chapter.number} or the library was changed meanwhile ({now[:12]}): start again."
            )
        done[draw["seed"]] = draw
        _write(partial, facts | {"book_seed": own, "draws": list(done.values())})
        how = f"failed: {draw['failed']}" if draw["failed"] else f"{draw['seconds']:.0f} s"
        tell(f"chapter {chapter.number}: {len(done)} of {len({*done, *waiting})} draws, seed {draw['seed']}: {how}")

    if not set(seeds) <= set(_kept(final, facts["key"])):
        _make(chapter, waiting, keep)
        draws = _without_repetition([done[seed] for seed in sorted(done, key=lambda seed: (seed != own, seed))])
        finished = {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "commit": recorded.commit()}
        _write(final, facts | finished | {"book_seed": own, "draws": draws})
        partial.unlink(missing_ok=True)
    return reach.load(folder, chapter.number)


def moves(kept: Mapping) -> list[dict]:
    """List every claim that the book's own draw judged: id, verdict, and its reach; what moves most stands first."""
    (own,) = [draw for draw in kept["draws"] if draw["seed"] == kept["book_seed"]]
    rows = []
    for claim, entry in own["verdicts"].items():
        again = reach.reach(kept, claim, entry["verdict"])
        rows.append({"id": claim, "verdict": entry["verdict"], **(again.as_dict() if again else {})})
    return sorted(rows, key=lambda row: row.get("agree", 0))


def _facts(chapter: book.Chapter) -> dict:
    """Say what decides a draw besides its seed, and the key that names it."""
    notebook = book.read_notebook(chapter.path)
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    facts = {
        "chapter": chapter.number,
        "parameters": {p.name: p.default for p in chapter.parameters if p.name != "seed"},
        "code": hashlib.sha256("\n\n".join(code).encode()).hexdigest(),
        "library": recorded.library_hash(),
        "versions": {name: metadata.version(name) for name in VERSIONS} | {"bnlab": bnlab.__version__},
    }
    return {"key": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(), **facts}


def _kept(path: Path, key: str) -> dict[int, dict]:
    """Read the draws that a file holds under this key and that did not fail."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {draw["seed"]: draw for draw in kept["draws"] if kept["key"] == key and not draw["failed"]}
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # missing, or damaged: made again


def _refuse_overlap(seeds: list[int], done: Mapping[int, dict]) -> None:
    every = sorted({*seeds, *done})
    for one, other in pairwise(every):
        if other - one < 100:
            raise ReseedError(
                f"seeds {one} and {other} are too near: a chapter uses up to 100 from each; choose --first."
            )


def _make(chapter: book.Chapter, seeds: list[int], keep: Callable[[dict], None]) -> None:
    """Execute the chapter once a seed, as many at once as there are cores; stop them all if one cannot be made."""
    waiting, running = list(seeds), {}
    with tempfile.TemporaryDirectory(prefix="bnlab-reseed-") as place:
        try:
            while waiting or running:
                while waiting and len(running) < (os.cpu_count() or 1):
                    seed = waiting.pop(0)
                    running[seed] = (_start(chapter, seed, Path(place) / str(seed)), time.perf_counter())
                time.sleep(0.1)
                for seed, (process, started) in list(running.items()):
                    if process.poll() is not None:
                        del running[seed]
                        keep(_draw(process, seed, Path(place) / str(seed), time.perf_counter() - started))
        finally:
            _stop([process for process, _ in running.values()])


def _start(chapter: book.Chapter, seed: int, place: Path) -> subprocess.Popen:
    place.mkdir()
    root = chapter.path.parent.parent
    command = [sys.executable, "-m", "bnlab.commands.cli", "run", chapter.path.stem, "-p", "seed", str(seed)]
    with (place / "said").open("wb") as said:  # a file: a pipe that nobody reads would fill
        return subprocess.Popen(  # noqa: S603  (this interpreter, this library)
            [*command, "-o", str(place), "--quiet"], stdout=subprocess.DEVNULL, stderr=said, cwd=root,
            env={**os.environ, "BNLAB_BOOK": str(root)}, start_new_session=True,
        )  # fmt: skip


def _draw(process: subprocess.Popen, seed: int, place: Path, seconds: float) -> dict:
    said = (place / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    line = said[-1].removeprefix("bnlab: ").partition("; see ")[0] if said else f"exit status {process.returncode}"
    failed = list(place.glob("*.failed.ipynb"))
    if process.returncode and not failed:
        raise ReseedError(f"the draw of seed {seed} could not be made ({line}).")
    found = [] if failed else verdicts.verdicts_in(book.read_notebook(next(place.glob("*.ipynb"))))
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "failed": line if failed else None,
        "verdicts": {
            v.id: {"verdict": v.verdict, "statistic": v.statistic, "measured": v.measured}
            for v in found
            if v.scale == "quick"
        },
    }


def _stop(processes: list[subprocess.Popen]) -> None:
    """End draws that are under way; a kernel ends with the process that started it."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _without_repetition(draws: list[dict]) -> list[dict]:
    """Leave the sentence out where a draw decided as the book's own, the first of them: the file is committed."""
    own = {claim: entry["verdict"] for claim, entry in draws[0]["verdicts"].items()}
    for draw in draws[1:]:
        for claim, entry in draw["verdicts"].items():
            if entry["verdict"] == own.get(claim):
                entry.pop("measured", None)
    return draws


def _write(path: Path, content: Mapping) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recorded.write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ReseedError(f"{path} cannot be written ({error.strerror}): name a folder that can be with -o.") from None
