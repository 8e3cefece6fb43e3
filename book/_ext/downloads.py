"""What a reader takes along: one zip with the notebooks, the library and the recorded data, named on chapters' pages.

The zip is made before the pages are written, so that they can say its size; the same files give the same bytes.
"""

import zipfile
from pathlib import Path

from bnlab.claims import book

NAME = "bn-lab.zip"
# Enough to install the library, to run any chapter, and to build the book again.
TAKEN = ("CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "_config.yml", "_toc.yml",
         "constraints.txt", "pyproject.toml", "requirements.txt", "book", "data/recorded", "lib/bnlab",
         "tools")  # fmt: skip
FOLDER, EPOCH = "bn-lab", (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold


def write_zip(root: Path, target: Path) -> int:
    """Pack what a reader needs of the project; give the size in bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files(root):
            info = zipfile.ZipInfo(f"{FOLDER}/{path.relative_to(root).as_posix()}", EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
    partial.replace(target)
    return target.stat().st_size


def files(root: Path) -> list[Path]:
    """List the files to take, sorted; nothing hidden, compiled, or left by an editor."""
    found = []
    for name in TAKEN:
        place = root / name
        found += [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return sorted(path for path in found if not _left_out(path.relative_to(root)))


def _left_out(path: Path) -> bool:
    hidden = any(part.startswith((".", "__pycache__")) for part in path.parts)
    return hidden or path.suffix in (".pyc", ".orig", ".rej") or path.name.endswith("~")


def pack(app) -> None:
    """Make the zip beside the pages to come."""
    if app.builder.format == "html":
        app.bnlab_zip_size = write_zip(Path(app.srcdir), Path(app.outdir) / NAME)


def offer(app, pagename, templatename, context, doctree) -> None:
    """Name the zip at the end of a chapter's page."""
    number = pagename.removeprefix("book/")[:2]
    if number not in {path.stem[:2] for path in book.chapter_paths(Path(app.srcdir))} or "body" not in context:
        return
    size = f"{app.bnlab_zip_size / 1e6:.1f} MB"
    context["body"] += (
        f'<p class="bn-place">To run this chapter: <a href="../{NAME}">{NAME}</a> ({size}) holds the notebook, the '
        f'library and the recorded data; then <a href="rerun.html#a-downloaded-chapter"><code>bnlab run {number}</code>'
        "</a>.</p>"
    )


def setup(app) -> dict:
    """Connect to Sphinx."""
    app.connect("builder-inited", pack, priority=700)
    app.connect("html-page-context", offer)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
