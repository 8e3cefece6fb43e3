"""What the book asks of its build beyond Jupyter Book, besides the execution of chapters.

* The build fails if a claim of an existing chapter has no verdict.
* Recorded tables are copied beside the pages, so that readers can download them.
* Of MathJax, 24 MB with every input, output and language of speech, what these pages load is kept.
* The scripts of sphinx-thebe, which Jupyter Book always loads, are left out: they name a host of the network, and they
  declare a constant twice, an error in the reader's console.
"""

import shutil
from pathlib import Path

from sphinx.errors import ExtensionError

import bnlab
from bnlab.claims import verdicts

# TeX to HTML with its fonts, and the TeX extensions that a formula may ask for: nothing else is ever requested.
# `make slides` puts the one with SVG into its files.
MATHJAX = ("tex-chtml.js", "tex-svg-full.js", "input/tex/extensions/", "output/chtml/fonts/woff-v2/")


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
    """Connect to Sphinx."""
    app.set_html_assets_policy("always")  # the ledger's formulas stand in computed HTML, which Sphinx does not see
    app.connect("env-updated", refuse_missing_verdicts)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", mend_roles)
    app.connect("build-finished", copy_recorded)
    app.connect("build-finished", prune_mathjax, priority=600)
    return {"version": bnlab.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
