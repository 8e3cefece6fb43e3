"""The ledger beside the pages, to download and to cite: written when a build has succeeded, from what it executed."""

from pathlib import Path

import yaml

from bnlab.claims import book, export


def write_exports(app, error) -> None:
    """Write ledger.json, ledger.csv and ledger.jsonld beside the page, the crate and the manifest at the root."""
    source, target = Path(app.srcdir), Path(app.outdir)
    if error or app.builder.format != "html" or not (source / "CITATION.cff").is_file():  # nothing to cite
        return
    facts = yaml.safe_load((source / "CITATION.cff").read_text(encoding="utf-8"))
    records, beside = export.rows(source), (target / export.PAGE).with_suffix("")
    beside.with_suffix(".json").write_text(export.as_json(records), encoding="utf-8")
    beside.with_suffix(".csv").write_text(export.as_csv(records), encoding="utf-8")
    linked = export.as_json_ld(records, facts["authors"][0]["name"])
    beside.with_suffix(".jsonld").write_text(linked, encoding="utf-8")
    files = contents(target, {path.stem: path.stem[:2] for path in book.chapter_paths(source)})
    (target / "codecheck.yml").write_text(export.as_codecheck(files, facts), encoding="utf-8")
    (target / export.CRATE).write_text(export.as_crate(target, files, facts), encoding="utf-8")


def contents(target: Path, chapters: dict[str, str]) -> dict[str, str]:
    """Name what a build leaves to keep: the ledger's forms, chapters as pages and notebooks, recorded tables."""
    files = {f"book/ledger.{end}": "the ledger: every claim with its verdict" for end in ("json", "csv", "jsonld")}
    for stem, number in chapters.items():
        files[f"book/{stem}.html"] = f"chapter {number}, executed"
        files[f"_sources/book/{stem}.ipynb"] = f"chapter {number}, the notebook"
    recorded = sorted((target / "recorded").rglob("*.*"))
    files |= {p.relative_to(target).as_posix(): f"chapter {p.parent.name}, recorded at full scale" for p in recorded}
    return {path: words for path, words in files.items() if (target / path).is_file()}


def setup(app) -> dict:
    """Connect to Sphinx; after the recorded tables have been copied."""
    app.connect("build-finished", write_exports, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
