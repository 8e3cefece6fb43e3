"""The ``bnlab`` command: the friendly door to chapters, recorded runs and verdicts.

Bad input is answered with one line on standard error and exit status 2, before anything runs or is written.
"""

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bnlab
from bnlab.claims import book, ledger, verdicts
from bnlab.commands import compare as comparison
from bnlab.commands import listing
from bnlab.commands import record as recording
from bnlab.commands import reseed as reseeding
from bnlab.commands import run as rerun
from bnlab.commands import verify as verifying
from bnlab.commands.parameters import ParameterError
from bnlab.records import recorded


class OutputError(RuntimeError):
    """Standard output that takes no more, of a full disk say. Its text is one clear line."""


REFUSALS = (
    OutputError,
    ParameterError,
    book.BookError,
    ledger.LedgerError,
    recorded.RecordedError,
    recording.RecordingError,
    rerun.RunError,
    reseeding.ReseedError,
)


class _Parser(argparse.ArgumentParser):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-(\d|\.\d|inf|nan)")  # argparse takes -1e-3 for an option

    def error(self, message: str):
        # argparse would print the usage as well: one clear line is what a mistyped option deserves.
        if message.startswith("argument -p: expected 2"):
            message += " (a name and a value, with a blank between them: -p seeds 5)"
        self.exit(2, f"{self.prog}: {' '.join(message.split())}. Try {self.prog} --help.\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    try:
        try:
            options = _parser().parse_args(arguments)
            return options.command(options)
        finally:
            with _writing():  # here, where a failure can be answered
                if sys.stdout is not None:  # bnlab ledger >&-
                    sys.stdout.flush()
    except REFUSALS as refusal:
        _tell(f"bnlab: {' '.join(str(refusal).split())}")
        return 2
    except KeyboardInterrupt as stopped:
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # the cell that was running
        after = "\n" if sys.stderr.isatty() else ""  # the terminal's ^C, or how far it was
        _tell(f"{after}bnlab: {str(stopped) or 'stopped; what was finished is kept.'}")
        return 130
    except BrokenPipeError:  # bnlab ledger | head
        return 0


def _print(text: str) -> None:
    with _writing():
        print(text)


@contextmanager
def _writing() -> Iterator[None]:
    """Tell what standard output does not take; a reader that stopped reading is BrokenPipeError.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"standard output cannot be written ({error.strerror}).") from None


def _tell(line: str) -> None:
    with suppress(OSError):  # nobody is there to be told
        print(line, file=sys.stderr, flush=True)


def _parser() -> _Parser:
    purpose = "Re-run the BN Lab: an executable book on why Batch Normalization works."
    parser = _Parser(prog="bnlab", description=purpose)
    parser.add_argument("--version", action="version", version=f"bnlab {bnlab.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", parser_class=_Parser)

    chapters = commands.add_parser("chapters", help="every chapter, its parameters, types, defaults, meaning and cost")
    chapters.add_argument("chapter", nargs="?", help="one alone, with what each of its parameters may be: 04")
    chapters.add_argument("--json", action="store_true", help="as JSON")
    chapters.set_defaults(command=_chapters)

    run = commands.add_parser("run", help="execute a chapter with your parameters")
    run.add_argument("chapter", help="its number, for example 04")
    _add_parameters(run)
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), help="the same as -p device ...")
    run.add_argument("-o", "--output", type=Path, default=Path("runs"), metavar="FOLDER", help="made if missing (runs)")
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    run.set_defaults(command=_run)

    record = commands.add_parser("record", help="run a chapter's experiment at full scale and keep it in data/recorded")
    record.add_argument("chapter", help="its number, for example 16")
    _add_parameters(record)
    record.add_argument("--preset", default="paper", help="a folder of book/presets (paper)")
    record.add_argument("--device", choices=("auto", "cpu", "cuda"), help="the same as -p device ... (auto)")
    record.add_argument("--data-root", type=Path, help="where the data sets are (else BNLAB_DATA, else data/downloads)")
    record.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="the book's data/recorded if not given")
    record.add_argument("--force", nargs="*", metavar="PART", help="make parts again that are recorded (all of them)")
    record.add_argument("--dirty", action="store_true", help="with a library that is not committed; the page says so")
    record.add_argument("--replace", action="store_true", help="put other parameters in the place of what is there")
    record.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="a Dask cluster makes the runs: tcp://host:8786"
    )
    record.add_argument("--verify", nargs="*", metavar="PART", help="make parts again, and compare (the cheapest one)")
    record.set_defaults(command=_record)

    reseed = commands.add_parser("reseed", help="a chapter's quick settings with other seeds: which verdicts move")
    reseed.add_argument("chapter", help="its number, for example 06")
    reseed.add_argument("--seeds", type=int, default=20, help="how many draws beside the book's own (20)")
    reseed.add_argument("--first", type=int, default=100, help="the first other seed (100)")
    reseed.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="the book's data/recorded if not given")
    reseed.add_argument("--json", action="store_true", help="as JSON")
    reseed.set_defaults(command=_reseed)

    compare = commands.add_parser("compare", help="my run beside the book's: verdicts and tables that differ")
    compare.add_argument("notebook", type=Path, help="an executed chapter, for example runs/04_natural_modes.ipynb")
    compare.add_argument("--json", action="store_true", help="as JSON")
    compare.set_defaults(command=_compare)

    claims = commands.add_parser("ledger", help="every claim with its verdict, quick and full scale")
    claims.add_argument("--json", action="store_true", help="as JSON")
    claims.set_defaults(command=_ledger)
    return parser


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a parameter, for example -p rates '[0.1, 3.0]'; repeat for more",
    )  # fmt: skip


def _given(options: argparse.Namespace) -> dict[str, str]:
    given: dict[str, str] = {}
    device = [("device", options.device)] if options.device else []
    for name, value in [*options.parameters, *device]:
        if name in given:
            raise ParameterError(f"parameter {name} is given twice: give it once.")
        given[name] = value
    return given


def _chapters(options: argparse.Namespace) -> int:
    if options.chapter is None:
        shown, may_be = book.chapters(), {}
    else:
        shown = [book.chapter(options.chapter)]
        may_be = rerun.may_be(shown[0])
    _print(json.dumps(listing.as_facts(shown, may_be), indent=1) if options.json else listing.as_text(shown, may_be))
    return 0


def _run(options: argparse.Namespace) -> int:
    given = _given(options)
    chapter = book.chapter(options.chapter)
    target = rerun.execute(chapter, given, options.output, progress=not options.quiet)
    _print(f"executed: {target}")
    for verdict in verdicts.verdicts_in(book.read_notebook(target)):
        _print(f"  {verdict.id:<12} {verdict.verdict:<22} {verdict.measured}")
    return 0


def _record(options: argparse.Namespace) -> int:
    given = _given(options)
    device = given.pop("device", "auto")
    folder = options.output or book.root() / "data" / "recorded"
    if options.verify is not None:
        where = {"device": device, "data_root": options.data_root, "folder": folder}
        found = verifying.verify(options.chapter, options.verify, given=given, **where)
        _print("\n".join(map(str, found)))
        return 0 if all(agreement.holds for agreement in found) else 1
    target = recording.record(
        options.chapter,
        given,
        preset=options.preset,
        device=device,
        data_root=options.data_root,
        folder=folder,
        again=options.force,
        dirty=options.dirty,
        replace=options.replace,
        scheduler=options.scheduler,
    )
    _print(f"recorded: {target}")
    return 0


def _reseed(options: argparse.Namespace) -> int:
    folder = options.output or book.root() / "data" / "recorded"
    chapter = book.chapter(options.chapter)
    kept = reseeding.reseed(chapter, options.seeds, options.first, folder, tell=_tell)
    failed = {draw["seed"]: draw["failed"] for draw in kept["draws"] if draw["failed"]}
    if options.json:
        _print(json.dumps(kept | {"claims": reseeding.moves(kept)}, indent=1))
    else:
        for row in reseeding.moves(kept):
            _print(f"{row['id']:<12} {row['verdict']:<22} {row.get('words', 'no other draw')}")
        for seed, line in failed.items():
            _print(f"chapter {chapter.number} failed with seed {seed}: {line}")
    return 1 if failed else 0


def _compare(options: argparse.Namespace) -> int:
    result = comparison.compare(options.notebook)
    _print(json.dumps(result.as_dict(), indent=1) if options.json else result.as_text())
    return 0


def _ledger(options: argparse.Namespace) -> int:
    rows = verdicts.collect()
    if options.json:
        _print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        quick = f"{row['quick']} ({row['reach']['short']})" if row["reach"] else row["quick"]
        _print(f"{row['chapter']}  {row['id']:<12} {row['verdict']:<22} quick: {quick}; full: {row['full']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
