"""When and how chapters are executed, so that ``make book`` and plain ``jupyter-book build .`` agree.

* jupyter-cache looks at a notebook's cells, not at what they import. When the library, the requirements or the data
  change, the cache is dropped and every page is read again; when only what one chapter sees has changed (its folder of
  the library, its recorded results, presets and claims), that chapter is. Two stamps say what was built of what: the
  cache's, written when it has been cleared of what is stale, and the pages', written last of all, when the build has
  succeeded.
* The chapters that the cache lacks are executed side by side, one process a core, before Sphinx reads them one by one.
* One build at a time: a second one waits for the first.
"""

import hashlib
import json
import multiprocessing
import os
import re
import shutil
import time
from collections import defaultdict
from pathlib import Path

import nbformat
from filelock import FileLock, Timeout
from jupyter_cache import get_cache
from jupyter_cache.cache.db import NbProjectRecord
from jupyter_cache.executors.basic import ExecutionWorkerLocalMProc, ProcessData
from sphinx.errors import ExtensionError

from bnlab.claims import book, claim_file
from bnlab.sweeps.executors import usable_cores

COMPUTED = ("book/index", "book/ledger", "book/explanations")  # from the verdicts of all chapters
WATCHED = ("lib", "data", "book/presets", "requirements.txt")  # by chapters; pages watch these as well:
TOLD = ("book/claims.yml", "book/explanations.yml")
# What no other chapter sees: a chapter's folder of the library knows no other (tests/test_floors.py), and each reads
# its own recorded results and presets alone.
OWNED = re.compile(
    r"(?:lib/bnlab/chapters/ch|data/recorded/(?:own/|reseed/)?|book/presets/[^/]+/)(?P<chapter>\d\d)(?=[_/.-])"
)


def fingerprints(root: Path) -> dict[str, str]:
    """Hash what numbers depend on besides a chapter's own cells: by the chapter's number, and "" for what all share."""
    digests = defaultdict(hashlib.sha256)
    for top in WATCHED:
        place = root / top
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in files:
            below = path.relative_to(root)
            # Hidden: the parts of a recording under way, which no page shows.
            if any(part.startswith(".") or part == "__pycache__" or "egg-info" in part for part in below.parts):
                continue
            if not path.is_file():
                continue
            owner = OWNED.match(below.as_posix())
            digest = digests[owner["chapter"] if owner else ""]
            digest.update(below.as_posix().encode() + b"\0")
            # Downloads can be gigabytes: their size and time will do, their content is checked when they are loaded.
            stat = path.stat()
            downloaded = "downloads" in below.parts
            digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode() if downloaded else path.read_bytes())
    for claim in claim_file.claims(root).values():
        digests[claim.chapter].update(repr(claim).encode())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def fingerprint(root: Path) -> str:
    """Hash what the pages depend on besides their own sources."""
    told = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in TOLD if (root / name).is_file()}
    return hashlib.sha256(json.dumps(fingerprints(root) | told, sort_keys=True).encode()).hexdigest()


def wait_for_other_builds(app) -> None:
    """Hold the build's lock from here to the end of the process; the system gives it up for one that is killed."""
    place = Path(app.outdir).parent
    place.mkdir(parents=True, exist_ok=True)
    app.bnlab_lock = FileLock(place / ".bnlab-lock")
    try:
        app.bnlab_lock.acquire(timeout=0)
    except Timeout:
        print("another build of this book is under way: waiting for it.", flush=True)
        app.bnlab_lock.acquire()


def prepare_cache(app) -> None:
    """Drop what is stale from the cache, then execute in parallel what is not in it.

    Raises:
        ExtensionError: a cell failed, or the library changed while chapters were executed.
    """
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # two threads collapse when two chapters run at once
        os.environ.setdefault(variable, "1")
    root, now = Path(app.srcdir), fingerprint(Path(app.srcdir))
    cache_path = Path(app.env.mystnb_config.execution_cache_path)
    stamp = cache_path.parent / ".bnlab-cache-of"
    drop_stale(root, cache_path, stamp)
    app.bnlab_fingerprint, app.bnlab_pages_stamp = now, cache_path.parent / ".bnlab-pages-of"
    pages = app.bnlab_pages_stamp
    app.bnlab_stale = not pages.is_file() or pages.read_text() != now
    if app.bnlab_stale:
        pages.unlink(missing_ok=True)  # until this build has succeeded, no page is known to be right
    execute_missing(app, cache_path)
    if fingerprint(root) != now:
        stamp.unlink()
        raise ExtensionError("the library, the data or the claims changed during the build: build again.")
    keep_executed(app, cache_path)


def drop_stale(root: Path, cache_path: Path, stamp: Path) -> None:
    """Drop the chapters from the cache that were executed with other sources, and stamp it with those of now."""
    now = fingerprints(root)
    try:
        before = json.loads(stamp.read_text())
    except (OSError, ValueError):  # none, or of another form
        before = {"": None}
    if before.get("") != now.get(""):
        shutil.rmtree(cache_path, ignore_errors=True)
        cache_path.parent.mkdir(parents=True, exist_ok=True)
    cache = get_cache(str(cache_path))
    stale = {str(c.path) for c in book.chapters(root) if before.get(c.number) != now.get(c.number)}
    for record in cache.list_cache_records():
        if record.uri in stale:  # of earlier cells too, to which an author may return
            cache.remove_cache(record.pk)
    stamp.write_text(json.dumps(now))


class Worker(ExecutionWorkerLocalMProc):
    """Execute one chapter in a process of its own, and say so."""

    def __call__(self, data: ProcessData) -> tuple[str, float]:
        """Execute and cache; give the notebook's name and the seconds it took."""
        name, started = Path(data.uri).stem, time.monotonic()
        print(f"  executing {name}", flush=True)
        super().__call__(data)
        return name, time.monotonic() - started

    @staticmethod
    def execute(project_nb, data: ProcessData):
        """Execute; a result whose build was killed meanwhile may be of an older library, and is thrown away."""
        parent = os.getppid()
        result = ExecutionWorkerLocalMProc.execute(project_nb, data)
        if os.getppid() != parent:
            raise RuntimeError("the build was stopped")
        return result


def execute_missing(app, cache_path: Path) -> None:
    """Execute the chapters that the cache does not hold, side by side, the longest first.

    Raises:
        ExtensionError: a cell failed; the message ends with its traceback.
    """
    cache = get_cache(str(cache_path))
    waiting = []
    for chapter in sorted(book.chapters(Path(app.srcdir)), key=lambda chapter: -(chapter.seconds or 0)):
        record = cache.add_nb_to_project(str(chapter.path))
        try:
            cache.match_cache_file(str(chapter.path))
        except KeyError:
            NbProjectRecord.remove_tracebacks([record.pk], cache.db)
            waiting.append(record)
    if not waiting:
        return
    names = [Path(record.uri).stem for record in waiting]
    print(f"{len(names)} chapters to execute: {', '.join(name[:2] for name in names)}", flush=True)
    jobs = [ProcessData(record.pk, record.uri, cache, 600, False) for record in waiting]
    with multiprocessing.Pool(min(usable_cores(), len(jobs))) as pool:
        for name, seconds in pool.imap_unordered(Worker(), jobs):
            names.remove(name)
            left = f"left: {', '.join(other[:2] for other in sorted(names))}" if names else "all done"
            print(f"  {name}: {seconds:.0f} s; {left}", flush=True)
    for record in waiting:
        if error := cache.get_project_record(record.pk).traceback:
            raise ExtensionError(f"{record.uri} failed:\n{error}")


def keep_executed(app, cache_path: Path) -> None:
    """Write the executed chapters where the ledger finds them (what myst-nb writes lacks outputs on a cache hit)."""
    cache = get_cache(str(cache_path))
    folder = book.executed_folder(Path(app.srcdir))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for chapter in book.chapters(Path(app.srcdir)):
        _, notebook = cache.merge_match_into_notebook(nbformat.read(chapter.path, as_version=4))
        nbformat.write(notebook, folder / chapter.path.name)


def outdated(app, env, added, changed, removed) -> list[str]:
    """Read what is computed from all chapters at every build, and every page when the cache was dropped."""
    return sorted(env.found_docs) if app.bnlab_stale else [name for name in COMPUTED if name in env.found_docs]


def stamp_pages(app, error) -> None:
    """Say, last of all, what the pages were built of."""
    if not error and app.builder.format == "html":
        app.bnlab_pages_stamp.write_text(app.bnlab_fingerprint)


def setup(app) -> dict:
    """Connect to Sphinx; after myst-nb (priority 500) has made its configuration."""
    wait_for_other_builds(app)
    app.connect("builder-inited", prepare_cache, priority=600)
    app.connect("env-get-outdated", outdated)
    app.connect("build-finished", stamp_pages, priority=999)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
