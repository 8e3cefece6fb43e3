"""The notebooks as they are committed: parameters, checked outputs, figures, numbers, claims, exercises."""

import ast
import re

import pytest
import yaml
from book_files import CHAPTERS, NOTEBOOKS, ROOT, cells, prose, source, tags

from bnlab.claims import book
from bnlab.commands import parameters

PLAIN = {"int", "float", "str", "bool", "list"}
DRAWS = re.compile(r"\bplt\.|\bsns\.|\bfigures\.(?!use_book_style)\w+\.?\w*\(|\.plot\(|\bplayer\(|\banimation\.")
by_name = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
any_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def test_there_are_chapters():
    assert CHAPTERS


@any_notebook
def test_kernel_is_the_plain_one(path):
    assert book.read_notebook(path)["metadata"]["kernelspec"]["name"] == "python3"


@any_notebook
def test_only_checked_outputs_are_committed(path):
    for cell in cells(path, "code"):
        checked = "nbval-check-output" in tags(cell)
        assert checked or not cell["outputs"], f"unchecked output below: {source(cell)[:80]}"
        assert not checked or cell["outputs"], f"nothing to compare below: {source(cell)[:80]}"
        assert not checked or "keep_output" in tags(cell), "nbstripout would remove it"


@by_name
def test_something_is_checked(path):
    assert any("nbval-check-output" in tags(cell) for cell in cells(path, "code"))


@by_name
def test_first_code_cell_holds_annotated_literals(path):
    first = cells(path, "code")[0]
    assert "parameters" in tags(first)
    lines = source(first).splitlines()
    for node in ast.parse(source(first)).body:  # a long list has several lines, and its comment in the last
        line = lines[node.end_lineno - 1]
        assert isinstance(node, ast.AnnAssign), f"{path.stem}: {line!r} is not name: type = literal"
        assert ast.unparse(node.annotation) in PLAIN
        value = ast.literal_eval(node.value)
        assert type(value).__name__ == ast.unparse(node.annotation)
        assert re.search(r"#\s*\w+", line), f"{line!r} has no comment that says what it means"


@by_name
def test_check_cell_accepts_the_defaults_and_knows_every_parameter(path):
    chapter = book.read_chapter(path)
    namespace = {p.name: p.default for p in chapter.parameters} | {"In": []}
    exec(compile(chapter.check_source, str(path), "exec"), namespace)
    foreign = {p.name: p.default for p in chapter.parameters} | {"In": [f"{parameters.INJECTED}\nno_such_name = 1"]}
    with pytest.raises(parameters.ParameterError) as refusal:
        exec(compile(chapter.check_source, str(path), "exec"), foreign)
    listed = str(refusal.value).split("This chapter has ")[1].rstrip(".").split(", ")
    assert listed == [p.name for p in chapter.parameters]


@any_notebook
def test_every_drawn_figure_has_caption_number_and_alternative_text(path):
    for cell in cells(path, "code"):
        hidden = tags(cell) & {"remove-cell", "remove-output"}
        mystnb = cell["metadata"].get("mystnb", {})
        if "figure" in mystnb or "image" in mystnb:
            assert len(mystnb["image"]["alt"]) >= 40, f"alternative text too short: {source(cell)[:80]}"
            assert len(mystnb["figure"]["caption"]) >= 40
            assert re.fullmatch(r"fig-\d\d-[a-z0-9-]+", mystnb["figure"]["name"])
        elif DRAWS.search(source(cell)) and not hidden:
            assert "alt=" in source(cell), f"{path.stem} draws without alternative text: {source(cell)[:80]}"


def test_figure_names_are_unique():
    names = [
        c["metadata"]["mystnb"]["figure"]["name"]
        for path in NOTEBOOKS
        for c in cells(path, "code")
        if "figure" in c["metadata"].get("mystnb", {})
    ]
    assert len(names) == len(set(names))


@by_name
def test_no_measured_number_is_typed(path):
    for cell in cells(path, "markdown"):
        number = r"(?<![\w.§-])\d+\.\d+(?:e-?\d+)?(?![\w.])|\d(?:e-\d+)|\d+(?:\.\d+)? ?%"
        typed = re.findall(number, prose(source(cell)))
        sections = re.findall(r"(?:Sections?|Sec\.|Figures?|CC BY|version) [\d.]+(?:[–-][\d.]+)?", prose(source(cell)))
        allowed = {number for words in sections for number in re.findall(r"\d+\.\d+", words)}
        assert set(typed) <= allowed, f"{path.stem} types {set(typed) - allowed}: compute and glue it"


@by_name
def test_no_number_of_seeds_is_typed_in_words(path):
    words = "two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|fifty|hundred"
    told = {"06": ["five paired seeds", "eight seeds"], "07": ["eight seeds"]}  # what n seeds can show; full scale
    typed = re.compile(rf"(?i)\b(?:{words})\s+(?:\w+\s+)?seeds?\b")
    found = [number for cell in cells(path, "markdown") for number in typed.findall(prose(source(cell)))]
    assert set(found) <= set(told.get(path.stem[:2], ())), f"{path.stem} types {found}: compute and glue it"


@by_name
def test_every_claim_of_the_chapter_is_judged(path):
    claims = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
    folder = next((ROOT / "lib" / "bnlab" / "chapters").glob(f"ch{path.stem[:2]}_*"))
    judged = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*verdicts.py"))]
    code = "\n".join([source(cell) for cell in cells(path, "code")] + judged)
    wanted = [row["id"] for row in claims if row["chapter"] == path.stem[:2]]
    assert wanted
    assert [name for name in wanted if f'"{name}"' not in code] == []


@by_name
def test_skeleton_is_whole(path):
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    code = "\n".join(source(cell) for cell in cells(path, "code"))
    assert "**Time**: " in text
    assert "no GPU" in text
    for heading in ("## Limits", "## Exercises", "## Further reading", "full scale"):
        assert heading.lower() in text.lower(), f"{path.stem} has no {heading}"
    assert "**Found**: " in text, f"the card of {path.stem} does not say what was found"
    survives, _, cards = text.partition("\n## What survives")[2].partition("\n## What the chapter settles")
    assert re.search(r"^The predictions: \(1\) .*\(2\) .*\(3\) ", survives, re.MULTILINE | re.DOTALL), path.stem
    assert "How it was run" in cards
    assert "Settles**" not in text
    assert ":filter: docname in docnames" in text
    assert code.count("claim_cards(") == 1
    exercises = re.findall(r"\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", text)
    assert len(exercises) >= 3
    assert sorted(exercises) == sorted(re.findall(r"\{solution-start\} (\S+)", text))


@by_name
def test_card_says_the_recorded_time(path):
    chapter = book.read_chapter(path)
    card = source(cells(path, "markdown")[0])
    assert f"**Time**: {chapter.seconds:.0f} s on 2 CPU cores" in card
    assert chapter.seconds <= 60


def test_ids_of_claims_and_pages_never_vanish():
    kept = (ROOT / "tests" / "stable_ids.txt").read_text(encoding="utf-8").split()
    claims = {row["id"] for row in yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))}
    pages = {p.stem + ".html" for p in (ROOT / "book").iterdir() if p.suffix in (".ipynb", ".md")}
    assert [name for name in kept if name not in claims | pages] == []
    assert sorted(claims | pages) == sorted(kept), "add new ids to tests/stable_ids.txt"


@by_name
def test_chapter_is_in_the_teaching_guide(path):
    assert path.name in (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_table_of_contents():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for path in (ROOT / "book").iterdir():
        if path.suffix in (".ipynb", ".md"):
            assert f"book/{path.stem}" in toc


def test_no_label_is_the_title_of_a_module():
    """The API pages head each module with its name, which is a label too: a second one fails the build."""
    library = ROOT / "lib" / "bnlab"
    modules = {path.relative_to(library).with_suffix("").parts for path in library.rglob("*.py")}
    titles = {".".join(part for part in parts[1:] or parts if part != "__init__").lower() for parts in modules}
    pages = [(path, "\n".join(map(source, cells(path, "markdown")))) for path in NOTEBOOKS]
    pages += [(path, path.read_text(encoding="utf-8")) for path in (ROOT / "book").glob("*.md")]
    labels = {label.lower(): path.name for path, text in pages for label in re.findall(r"(?m)^\((.+)\)=$", text)}
    assert "sec-halfspaces" in labels
    assert "halfspaces" in titles
    assert {label: labels[label] for label in labels.keys() & titles} == {}
