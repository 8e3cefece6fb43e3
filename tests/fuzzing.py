"""Random values for the chapters' parameters, each really run: a chapter executes to its end, or refuses in one line.

``python tests/fuzzing.py 500`` draws 500, from every chapter alike; ``--seed`` draws those of another day again,
``--chapters 04 16`` keeps to some. What a chapter's check cell refuses costs nothing; what it lets through is executed
whole, its other parameters as small as the check cell allows, in a fork of this process, whose imports are made.
"""

import argparse
import math
import os
import random
import re
import resource
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from bnlab.claims import book
from bnlab.commands import parameters
from bnlab.commands import run as rerun

REFUSED_WITHIN = 15  # seconds, on a busy machine
MEMORY = 8 << 30  # bytes that a run may ask for
# What no number, list, choice or truth value is, or one at the end of what floats can hold.
ODD = (
    "", " ", "nan", "NaN", "inf", "-inf", "1e400", "1e299", "-1e299", "1e-300", "5e-324", "-1", "0", "-0.0", "1.5",
    "None", "True", "abc", "[]", "[[]]", "[[1], 2]", "[1, [2]]", "{}", "{1: 2}", "[nan]", "[1, 'a']", "[None]", "(1,)",
    "[1,", "1 / 0", "__import__('os')", "9" * 400, "-9999999999999999999", "9007199254740993", "0x10", "1_0", "٣",
    "\n", "a\nb", "[" * 500, "é", "'", "[1, 1, 1, 1]", "[True, False]", "[0]", "[-1]", "[1e299]", "[1e-300, 1e299]",
)  # fmt: skip
ODD_SHARE = 0.25


@dataclass(frozen=True)
class Case:
    """One draw: a chapter, what it is given on the command line, and which of that was drawn."""

    chapter: str
    given: dict[str, str]
    drawn: tuple[str, ...]

    def __str__(self) -> str:
        """Say it as a command that a reader could give."""
        words = [f"-p {name} {shlex.quote(value[:200])}" for name, value in self.given.items()]
        return f"bnlab run {self.chapter} {' '.join(words)}"


def kinds(chapter: book.Chapter) -> dict[str, parameters.Kind]:
    """Read what the chapter's check cell says of its parameters."""
    found = {}

    def look(namespace: dict, **declared: parameters.Kind):
        found.update(declared)
        raise parameters.ParameterError("looked at")

    check, parameters.check = parameters.check, look
    try:
        rerun.check(chapter, {})
    except parameters.ParameterError:
        return found
    finally:
        parameters.check = check


def passes(chapter: book.Chapter, given: dict[str, str]) -> bool:
    """Tell whether the check cell lets these values through."""
    try:
        rerun.check(chapter, given)
    except parameters.ParameterError:
        return False
    return True


def smallest(chapter: book.Chapter) -> dict[str, str]:
    """Make every parameter as cheap as the check cell allows, one after the other: lists short, whole numbers small."""
    small, known = {}, kinds(chapter)
    declared = sorted(chapter.parameters, key=lambda p: p.type != "list")
    for parameter in declared:
        if parameter.name == "seed" or parameter.type not in ("int", "list"):
            continue
        default = parameter.default
        if parameter.type == "list":
            tries = [default[:length] for length in range(len(default))]
        else:
            least = limits(known[parameter.name].description)["at least"]
            tries = sorted({int(least if least is not None else 1), default // 16, default // 4, default // 2})
        for value in tries:
            if passes(chapter, {**small, parameter.name: str(value)}):
                small[parameter.name] = str(value)
                break
    return small


def limits(description: str) -> dict[str, float | None]:
    """Read the limits of a number from the words of its kind."""
    found = {words: re.search(rf"{words} ([^\s,]+)", description) for words in ("at least", "at most", "above")}
    return {words: float(match[1]) if match else None for words, match in found.items()}


def draw(chapter: book.Chapter, small: dict[str, str], random: random.Random, folders: list[str]) -> Case:
    """Draw one parameter, or now and then two."""
    known = kinds(chapter)
    names = random.sample([p.name for p in chapter.parameters], 1 if random.random() < 0.8 else 2)
    drawn = {}
    for name in names:
        default = next(p.default for p in chapter.parameters if p.name == name)
        if random.random() < ODD_SHARE:
            drawn[name] = random.choice(ODD)
        elif name == "dataset":
            drawn[name] = random.choice(["digits", "digits-rgb", "digit", *folders, "folder:", "folder:/nowhere"])
        else:
            drawn[name] = str(_plausible(known[name], default, random))
    return Case(chapter.number, {**small, **drawn}, tuple(names))


def _plausible(kind: parameters.Kind, default: object, random: random.Random) -> object:
    """Draw what the declared type could be, at and around its limits more often than not."""
    if kind.type == "bool":
        return random.choice(["true", "no", "1", "0", "False", "maybe"])
    if kind.type == "str":
        return random.choice([*_options(kind.description), "batchnorm"])
    if kind.type != "list":
        return _number(kind.description, default, random)
    item = kind.description.partition(", each ")[2]
    if options := _options(item):
        entries = random.sample(options, random.randint(1, len(options)))
        return random.choice([entries, [*default, *entries], default[::-1], default[1:], [*entries, "batchnorm"]])
    drawn = [_number(item, random.choice(default or [1]), random) for _ in range(random.randint(1, 4))]
    place = random.randrange(len(default) + 1)
    return random.choice([
        drawn, sorted(drawn), [*default, *drawn], [*default[:place], drawn[0], *default[place + 1 :]], default[:place],
        default[::-1], [*default, *default[:1]], drawn[0], [drawn], [],
    ])  # fmt: skip


def _options(description: str) -> list[str]:
    return re.findall(r"[^,]+", description.partition("one of ")[2].replace(", ", ","))


def _number(description: str, default: object, random: random.Random) -> float | int:
    known = limits(description)
    least, most, above = known["at least"], known["at most"], known["above"]
    bottom = least if least is not None else above if above is not None else -1e6
    if description.startswith("a whole number"):
        bottom = int(bottom)
        # Beyond the upper limit, never just below it: what costs days is not run here.
        beyond = [] if most is None else [int(most) + 1, int(most) * 10]
        near = random.randint(bottom, max(int(default), bottom + 3))
        return random.choice([bottom - 1, bottom, bottom + 1, bottom + 2, near, near, default, *beyond])
    top = most if most is not None else 1e299
    low, high = max(bottom, top * 1e-30, 1e-300), top
    inside = math.exp(random.uniform(math.log(low), math.log(high)))
    around = default * 10 ** random.uniform(-3, 3)
    ends = [bottom, top, math.nextafter(bottom, -math.inf), math.nextafter(bottom, math.inf), top * 2]
    return random.choice([*ends, low, inside, inside, around, around, float(f"{around:.1g}")])


def outcome(case: Case, limit: float) -> tuple[str, str]:
    """Give how a case ends, "refused", "executed", "ran on" (past the limit in seconds) or "failed", and why."""
    chapter, started = book.chapter(case.chapter), time.monotonic()
    try:
        values = rerun.check(chapter, case.given)
    except parameters.ParameterError as refusal:
        if "\n" in str(refusal) or len(str(refusal)) > 1000:
            return "failed", f"a refusal of more than a line: {refusal}"
        if (seconds := time.monotonic() - started) > REFUSED_WITHIN:
            return "failed", f"refused after {seconds:.0f} s"
        return "refused", str(refusal)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    return _forked(lambda: _executed(chapter, values), limit)


def _executed(chapter: book.Chapter, values: dict) -> str:
    """Execute the cells of a chapter in this process; say why one of them failed."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    os.chdir(chapter.path.parent)
    shell = InteractiveShell.instance()
    for cell in book.read_notebook(chapter.path)["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", []):
            source = "\n".join([source, *(f"{name} = {value!r}" for name, value in values.items())])
        with capture_output():
            result = shell.run_cell(source)
        if error := result.error_before_exec or result.error_in_exec:
            at = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
            where = next((line for line in source.splitlines() if line.strip()), "")
            return f"{type(error).__name__}: {' '.join(str(error).split())} [{at[-1]}, in the cell {where!r}]"
    return ""


def _forked(work: Callable[[], str], limit: float) -> tuple[str, str]:
    with tempfile.TemporaryFile() as answer:
        if not (child := os.fork()):
            os.setsid()  # so that worker processes end with it
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                try:
                    reason = work()
                except BaseException as error:
                    reason = f"{type(error).__name__}: {error}"
            answer.write(f"failed {reason}".encode() if reason else b"executed ")
            answer.flush()
            os._exit(0)
        deadline, status = time.monotonic() + limit, None
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "ran on", f"more than {limit:g} s"
            time.sleep(0.05)
        answer.seek(0)
        status, _, reason = answer.read().decode().partition(" ")
    return (status, reason) if status else ("failed", "the process died (out of memory?)")


@contextmanager
def pictures() -> Iterator[list[str]]:
    """Make folders of very few images, and name them as data sets; the pictures of "few" vary along one axis only."""
    from PIL import Image

    stripes, side = Image.linear_gradient("L").resize((32, 32)), (32, 32)
    with tempfile.TemporaryDirectory() as place:
        for name, classes, each in (("two", 2, 2), ("few", 3, 8), ("ten", 10, 10)):
            for label in range(classes):
                (folder := Path(place) / name / f"class{label}").mkdir(parents=True)
                for n in range(each):
                    noise = Image.frombytes("L", side, random.Random(100 * label + n).randbytes(32 * 32))
                    image = stripes.point(lambda v, n=n: (v + 17 * n) % 256) if name == "few" else noise
                    image.save(folder / f"{n}.png")
        yield [f"folder:{place}/{name}" for name in ("two", "few", "ten")]


def campaign(count: int, seed: str, wanted: list[str], limit: float, processes: int) -> int:
    """Run so many draws, so many at a time; print a line a failure and one at the end; return how many failed."""
    import sklearn.datasets  # noqa: F401  (here, not in each fork)
    import torch

    import bnlab.figures.style  # noqa: F401

    torch.set_num_threads(1)
    chapters = [chapter for chapter in book.chapters() if not wanted or chapter.number in wanted]
    ends = dict.fromkeys(("refused", "executed", "ran on", "failed"), 0)
    with pictures() as folders, ProcessPoolExecutor(processes, get_context("fork")) as pool:
        small = list(pool.map(smallest, chapters))
        first = random.Random(seed).randrange(len(chapters))
        cases = []
        for n in range(count):
            at = (first + n) % len(chapters)
            cases.append(draw(chapters[at], small[at], random.Random(f"{seed} {n}"), folders))
        for case, (end, why) in zip(cases, pool.map(outcome, cases, [limit] * count), strict=True):
            ends[end] += 1
            if os.environ.get("FUZZ_ALL"):
                print(end, case, why, flush=True)
            if end == "failed":
                print(f"{case}: {why}", flush=True)
    print(f"{count} draws, --seed {seed}: " + ", ".join(f"{n} {end}" for end, n in ends.items()), flush=True)
    return ends["failed"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", default=f"{datetime.now(UTC):%Y-%m-%d}")
    parser.add_argument("--chapters", nargs="*", default=[])
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a run is stopped (120)")
    parser.add_argument("--processes", type=int, default=2, help="at once (2)")
    options = parser.parse_args()
    sys.exit(bool(campaign(options.count, options.seed, options.chapters, options.limit, options.processes)))
