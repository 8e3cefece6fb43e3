"""What the book asks of its build beyond Jupyter Book, so that ``make book`` and plain ``jupyter-book build .`` agree.

* jupyter-cache looks at a notebook's cells, not at what they import: when the library, recorded results, claims,
  requirements or data change, the cache is dropped and every page is read again. Two stamps say what was built of
  what: the cache's, written when it is emptied, and the pages', written last of all, when the build has succeeded.
* The chapters that the cache lacks are executed side by side, one process a core, before Sphinx reads them one by one.
* One build at a time: a second one waits for the first.
* The build fails if a claim of an existing chapter has no verdict.
* Recorded tables are copied beside the pages, so that readers can download them.
* Of MathJax, 24 MB with every input, output and language of speech, what these pages load is kept.
* The scripts of sphinx-thebe, which Jupyter Book always loads, are left out: they name a host of the network, and they
  declare a constant twice, an error in the reader's console.
"""

import hashlib
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import nbformat
from filelock import FileLock, Timeout
from jupyter_cache import get_cache
from jupyter_cache.cache.db import NbProjectRecord
from jupyter_cache.executors.basic import ExecutionWorkerLocalMProc, ProcessData
from sphinx.errors import ExtensionError

import bnlab
from bnlab.claims import book, verdicts
from bnlab.sweeps.executors import usable_cores

COMPUTED = ("book/index", "book/ledger", "book/explanations")  # from the verdicts of all chapters
# TeX to HTML with its fonts, and the TeX extensions that a formula may ask for: nothing else is ever requested.
# `make slides` puts the one with SVG into its files.
MATHJAX = ("tex-chtml.js", "tex-svg-full.js", "input/tex/extensions/", "output/chtml/fonts/woff-v2/")
WATCHED = ("lib", "data", "book/claims.yml", "book/explanations.yml", "book/presets", "requirements.txt")


def fingerprint(root: Path) -> str:
    """Hash what a chapter's numbers depend on besides its own cells."""
    digest = hashlib.sha256()
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
            digest.update(below.as_posix().encode() + b"\0")
            # Downloads can be gigabytes: their size and time will do, their content is checked when they are loaded.
            stat = path.stat()
            downloaded = "downloads" in below.parts
            digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode() if downloaded else path.read_bytes())
    return digest.hexdigest()


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
    """Drop a stale cache, then execute in parallel what is not in it.

    Raises:
        ExtensionError: a cell failed, or the library changed while chapters were executed.
    """
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # two threads collapse when two chapters run at once
        os.environ.setdefault(variable, "1")
    root, now = Path(app.srcdir), fingerprint(Path(app.srcdir))
    cache_path = Path(app.env.mystnb_config.execution_cache_path)
    stamp = cache_path.parent / ".bnlab-cache-of"
    if not stamp.is_file() or stamp.read_text() != now:
        shutil.rmtree(cache_path, ignore_errors=True)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(now)
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


def stamp_pages(app, error) -> None:
    """Say, last of all, what the pages were built of."""
    if not error and app.builder.format == "html":
        app.bnlab_pages_stamp.write_text(app.bnlab_fingerprint)


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


def refuse_missing_verdicts(app, env) -> None:
    """Fail the build when a claim of an existing chapter has no verdict.

    Raises:
        ExtensionError: the message lists the claims.
    """
    if app.builder.format == "html" and (silent := verdicts.missing(Path(app.srcdir))):
        raise ExtensionError(f"no verdict on {', '.join(silent)}: each claim of an existing chapter needs one.")


def copy_recorded(app, error) -> None:
    """Put recorded tables beside the pages, under names without checksums."""
    source = Path(app.srcdir) / "data" / "recorded"
    if error or app.builder.format != "html" or not source.is_dir():
        return
    for path in source.glob("[0-9][0-9]/[!.]*"):  # not the parts of a recording under way
        target = Path(app.outdir) / "recorded" / path.parent.name / recorded_name(path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def prune_mathjax(app, error) -> None:
    """Delete what of MathJax no page asks for; after sphinx-mathjax-offline has copied it."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "mathjax"
    for path in folder.rglob("*"):
        if path.is_file() and not path.relative_to(folder).as_posix().startswith(MATHJAX):
            path.unlink()


def mend_roles(app, pagename, templatename, context, doctree) -> None:
    """Make references the items of their list: docutils gives them a deprecated role that no list may hold."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def drop_thebe(app, pagename, templatename, context, doctree) -> None:
    """Leave sphinx-thebe's scripts out of a page."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in (getattr(script, "attributes", {}).get("body") or str(getattr(script, "filename", script)))
    ]


def recorded_name(name: str) -> str:
    """Drop the checksum from a recorded table's file name."""
    return name.split(".")[0] + ".csv.gz" if name.endswith(".csv.gz") else name


def setup(app) -> dict:
    """Connect to Sphinx; after myst-nb (priority 500) has made its configuration."""
    wait_for_other_builds(app)
    app.set_html_assets_policy("always")  # the ledger's formulas stand in computed HTML, which Sphinx does not see
    app.connect("builder-inited", prepare_cache, priority=600)
    app.connect("env-get-outdated", outdated)
    app.connect("env-updated", refuse_missing_verdicts)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", mend_roles)
    app.connect("build-finished", copy_recorded)
    app.connect("build-finished", prune_mathjax, priority=600)
    app.connect("build-finished", stamp_pages, priority=999)
    return {"version": bnlab.__version__, "parallel_read_safe": False, "parallel_write_safe": True}
