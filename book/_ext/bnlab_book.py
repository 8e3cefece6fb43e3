"""What the book asks of its build beyond Jupyter Book, so that ``make book`` and plain ``jupyter-book build .`` agree.

* jupyter-cache looks at a notebook's cells, not at what they import: when the library, recorded results, claims,
  requirements or data change, the cache is dropped and every page is read again.
* The chapters that the cache lacks are executed side by side, one process a core, before Sphinx reads them one by one.
* The build fails if a claim of an existing chapter has no verdict.
* Recorded tables are copied beside the pages, so that readers can download them.
* The scripts of sphinx-thebe, which Jupyter Book always loads, are left out: they name a host of the network, and they
  declare a constant twice, an error in the reader's console.
"""

import hashlib
import inspect
import os
import pkgutil
import shutil
from importlib import import_module
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import bnlab
from bnlab.claims import book, verdicts

LOG = logging.getLogger(__name__)
LEDGER = "book/ledger"
WATCHED = ("lib", "data", "book/claims.yml", "book/presets", "requirements.txt")


def fingerprint(root: Path) -> str:
    """Hash what a chapter's numbers depend on besides its own cells."""
    digest = hashlib.sha256()
    for top in WATCHED:
        place = root / top
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in files:
            if not path.is_file() or "__pycache__" in path.parts or "egg-info" in path.as_posix():
                continue
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            # Downloads can be gigabytes: their size and time will do, their content is checked when they are loaded.
            stat = path.stat()
            downloaded = "downloads" in path.parts
            digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode() if downloaded else path.read_bytes())
    return digest.hexdigest()


def prepare_cache(app) -> None:
    """Drop a stale cache, then execute in parallel what is not in it."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # two threads collapse when two chapters run at once
        os.environ.setdefault(variable, "1")
    root = Path(app.srcdir)
    cache_path = Path(app.env.mystnb_config.execution_cache_path)
    stamp = cache_path.parent / ".bnlab-fingerprint"
    now = fingerprint(root)
    app.bnlab_stale = not stamp.is_file() or stamp.read_text() != now
    if app.bnlab_stale:
        shutil.rmtree(cache_path, ignore_errors=True)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(now)
    execute_missing(app, cache_path)
    keep_executed(app, cache_path)


def execute_missing(app, cache_path: Path) -> None:
    """Execute the chapters that the cache does not hold, side by side.

    Raises:
        ExtensionError: a cell failed; the message ends with its traceback.
    """
    cache = get_cache(str(cache_path))
    waiting = []
    for chapter in book.chapters(Path(app.srcdir)):
        record = cache.add_nb_to_project(str(chapter.path))
        try:
            cache.match_cache_file(str(chapter.path))
        except KeyError:
            waiting.append(record)
    if not waiting:
        return
    LOG.info(f"executing {len(waiting)} chapters side by side ...")
    executor = load_executor("local-parallel", cache)
    executor.run_and_cache(filter_pks=[record.pk for record in waiting], timeout=600)
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
    """Read the ledger at every build, and every page when the cache was dropped."""
    return sorted(env.found_docs) if app.bnlab_stale else [LEDGER]


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


class ApiReference(SphinxDirective):
    """List every public function and class of a library package, with its docstring as written."""

    def run(self) -> list[nodes.Node]:
        """Build one section a module."""
        names = [m.name for m in pkgutil.walk_packages(bnlab.__path__, "bnlab.") if not m.name.endswith("__main__")]
        return [self.module_section(import_module(name)) for name in names]

    def module_section(self, module) -> nodes.section:
        """Describe a module: its first line, then its public members."""
        section = nodes.section(ids=[nodes.make_id(module.__name__)])
        section += nodes.title("", module.__name__)
        if doc := inspect.getdoc(module):
            section += nodes.paragraph("", doc.split("\n\n")[0].replace("\n", " "))
        for name, member in vars(module).items():
            ours = getattr(member, "__module__", None) == module.__name__ and not name.startswith("_")
            if ours and (inspect.isfunction(member) or inspect.isclass(member)):
                section += self.member(name, member)
        return section

    def member(self, name: str, member) -> nodes.literal_block:
        """Show a signature and a docstring, monospaced as in the source."""
        exception = inspect.isclass(member) and issubclass(member, Exception)  # inherits no signature from C
        call = "" if exception else str(inspect.signature(member))
        text = f"{name}{call}\n\n{inspect.getdoc(member) or ''}"
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return block


def setup(app) -> dict:
    """Connect to Sphinx; after myst-nb (priority 500) has made its configuration."""
    app.add_directive("bnlab-api", ApiReference)
    app.set_html_assets_policy("always")  # the ledger's formulas stand in computed HTML, which Sphinx does not see
    app.connect("builder-inited", prepare_cache, priority=600)
    app.connect("env-get-outdated", outdated)
    app.connect("env-updated", refuse_missing_verdicts)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_recorded)
    return {"version": bnlab.__version__, "parallel_read_safe": False, "parallel_write_safe": True}
