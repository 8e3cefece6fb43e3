"""Execute a chapter's quick settings with other seeds: which verdicts does another draw overturn, and how often?

Each draw is the chapter executed whole, by ``bnlab run``, one process a core. What it decided is kept at once, so that
a run stopped at any moment goes on where it was; what decided it (the chapter's code, the library, the versions) is
part of its name, so that draws of two states are never counted together.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from bnlab.claims import book, draws, reach, verdicts
from bnlab.commands import run as rerun
from bnlab.records import keys, provenance
from bnlab.records.files import LockedError, locked, write_atomically
from bnlab.sweeps.executors import usable_cores
from bnlab.sweeps.stopping import stopping

# A chapter uses seeds from its first one on, and some beyond: chapter 07 tunes on those that begin 1000 later.
APART = 2000
NEAREST = 100


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
            (its process was killed, say), somebody else draws this chapter, or it was changed meanwhile.
        ParameterError: the chapter refuses a seed.
    """
    own = next((p.default for p in chapter.parameters if p.name == "seed"), None)
    if own is None:
        raise ReseedError(f"chapter {chapter.number} has no parameter seed, so it cannot be drawn again.")
    if count < 1 or first < own + NEAREST:
        raise ReseedError(f"{count} draws from seed {first}: give at least 1, from a seed of at least {own + NEAREST}.")
    seeds = [own, *range(first, first + count * APART, APART)]
    rerun.check(chapter, {"seed": seeds[-1]})
    lock = _partial(folder, chapter).with_suffix(".lock")
    try:
        with stopping(), locked(lock, f"chapter {chapter.number} is being drawn again"):
            _finish(chapter, seeds, folder, tell)
    except (LockedError, keys.KeyingError) as error:
        raise ReseedError(str(error)) from None
    except OSError as error:
        raise ReseedError(
            f"{folder} cannot be written ({error.strerror}): name a folder that can be with -o."
        ) from None
    return reach.load(folder, chapter.number)


def _finish(chapter: book.Chapter, seeds: list[int], folder: Path, tell: Callable[[str], None]) -> None:
    """Make the draws that are not there yet, and put all of them together."""
    own, facts = seeds[0], _facts(chapter)
    final, partial = reach.path_of(folder, chapter.number), _partial(folder, chapter)
    there = _kept(final, facts["key"])
    done = {**there, **_kept(partial, facts["key"])}
    waiting = [seed for seed in seeds if seed not in done]
    every = {*done, *waiting}
    _refuse_overlap(every)

    def keep(draw: dict) -> None:
        if (now := _facts(chapter))["key"] != facts["key"]:
            changed = keys.differing(facts["sources"], now["sources"]) or [f"chapter {chapter.number}"]
            raise ReseedError(f"{', '.join(changed)} was changed meanwhile: start again.")
        done[draw["seed"]] = draw
        _write(partial, facts | {"book_seed": own, "draws": list(done.values())})
        how = f"failed: {draw['failed']}" if draw["failed"] else f"{draw['seconds']:.0f} s"
        tell(f"chapter {chapter.number}: {len(done)} of {len(every)} draws, seed {draw['seed']}: {how}")

    if not set(seeds) <= set(there):
        _make(chapter, waiting, keep)
        made = _without_repetition([done[seed] for seed in sorted(done, key=lambda seed: (seed != own, seed))])
        finished = {"finished": datetime.now(UTC).isoformat(timespec="seconds"), **provenance.machine("cpu")}
        _write(final, facts | finished | {"book_seed": own, "draws": made})
        partial.unlink(missing_ok=True)


def _partial(folder: Path, chapter: book.Chapter) -> Path:
    return Path(folder) / ".partial" / f"reseed-{chapter.number}.json"


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
    facts = {"chapter": chapter.number, **draws.facts(chapter), "versions": provenance.machine("cpu")["versions"]}
    return {"key": keys.digest(facts), **facts}


def _kept(path: Path, key: str) -> dict[int, dict]:
    """Read the draws that a file holds under this key and that did not fail."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {draw["seed"]: draw for draw in kept["draws"] if kept["key"] == key and not draw["failed"]}
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # missing, or damaged: made again


def _refuse_overlap(seeds: Iterable[int]) -> None:
    for one, other in pairwise(sorted(seeds)):
        if other - one < NEAREST:
            raise ReseedError(
                f"seeds {one} and {other} are too near, a chapter uses several from each: choose --first."
            )


def _make(chapter: book.Chapter, seeds: list[int], keep: Callable[[dict], None]) -> None:
    """Execute the chapter once a seed, as many at once as there are cores; stop them all if one cannot be made."""
    waiting, running = list(seeds), {}
    with tempfile.TemporaryDirectory(prefix="bnlab-reseed-") as place:
        try:
            while waiting or running:
                while waiting and len(running) < usable_cores():
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
    if any(parameter.name == "device" for parameter in chapter.parameters):
        command += ["--device", "cpu"]  # as the book is built, wherever these draws are made
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


def _without_repetition(made: list[dict]) -> list[dict]:
    """Leave the sentence out where a draw decided as the book's own, the first of them: the file is committed."""
    own = {claim: entry["verdict"] for claim, entry in made[0]["verdicts"].items()}
    for draw in made[1:]:
        for claim, entry in draw["verdicts"].items():
            if entry["verdict"] == own.get(claim):
                entry.pop("measured", None)
    return made


def _write(path: Path, content: Mapping) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
