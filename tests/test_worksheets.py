"""Worksheets: all statements, no solution, no bookkeeping; they are notebooks that run."""

import ast
import builtins
import json
import re

import make_worksheets
import nbformat
import pytest
from book_files import CHAPTERS
from nbclient import NotebookClient
from teaching import myst, worksheets
from teaching.pruning import names, prune
from teaching.solutions import ExerciseError, label, parts

from bnlab.claims import book

CHEAPEST = "03"
BOOKKEEPING = re.compile(r"\bglue\(|claim_cards\(|provenance\(")
DIRECTIVE = re.compile(r"(?m)^[`:~]{3,}\{|\{(?:glue|cite|numref)[:a-z]*\}`|^\([\w-]+\)=$")
SMALL = worksheets.Book(lambda key, in_sentence: f"<{key}>", frozenset({"04_natural_modes.ipynb"}))
by_name = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def text(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(source, *tags):
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def made(*cells, **how):
    return worksheets.worksheet({"cells": list(cells), "metadata": {}}, SMALL, **how)


def joined(notebook, kind=None):
    return "\n".join("".join(c["source"]) for c in notebook["cells"] if kind in (None, c["cell_type"]))


@pytest.fixture(scope="module")
def sheets():
    where = make_worksheets.references()
    read = {path.stem: book.read_notebook(path) for path in CHAPTERS}
    return {
        (stem, solved): worksheets.worksheet(notebook, where, solved=solved)
        for stem, notebook in read.items()
        for solved in (False, True)
    }


@by_name
@pytest.mark.parametrize("solved", [False, True], ids=["worksheet", "solutions"])
def test_every_chapter_gives_a_valid_notebook_whose_names_are_all_defined(path, solved, sheets):
    notebook = nbformat.reads(json.dumps(sheets[path.stem, solved]), as_version=4)
    nbformat.validate(notebook)
    known = {*dir(builtins), "display"}
    for cell in notebook.cells:
        assert not cell.get("outputs")
        if cell.cell_type == "code":
            binds, needs = names(cell.source)
            assert needs <= known, f"{cell.source[:60]!r} needs {needs - known}, which nothing before it defines"
            known |= binds
    assert not DIRECTIVE.search(joined(notebook, "markdown"))
    assert not BOOKKEEPING.search(joined(notebook, "code"))


@by_name
def test_every_statement_is_there_and_no_solution(path, sheets):
    found = parts(book.read_notebook(path)["cells"])
    sheet, solved = joined(sheets[path.stem, False]), joined(sheets[path.stem, True])
    answers = sheets[path.stem, False]["cells"]
    labels = [name for part in found if (name := label(part))]
    assert len(labels) >= 4
    assert sum("".join(cell["source"]).startswith("# Your answer here.") for cell in answers) == len(labels)
    for part in found:
        if label(part):
            assert part.content.argument in sheet
            assert part.content.argument in solved
            words = [w for w in re.split(r"[$`{}\[\]()]", part.content.body) if len(w) > 30]
            assert all(sentence.strip() in sheet for sentence in words)
        elif part.solves and isinstance(part.content, dict):
            source = "".join(part.content["source"])
            assert source in solved
            if worksheets.CHECK not in part.content["metadata"].get("tags", []):
                lines = {line.strip() for line in source.split("\n") if line.lstrip().startswith("assert ")}
                given = {line.strip() for line in sheet.split("\n")}
                assert not {line for line in lines & given if not line.endswith("(")}  # which begins many an assertion
                assert source not in sheet
        elif part.solves and isinstance(part.content, str) and part.content.strip():
            assert myst.plain(part.content, SMALL.cite, {}, set())[:60] not in sheet


@by_name
def test_what_was_left_out(path, sheets):
    sheet = joined(sheets[path.stem, False])
    assert not re.search(r"(?m)^## (At full scale|What survives|What did you predict)", sheet)
    assert "This chapter in short" not in sheet
    assert "Predict first" in sheet
    assert worksheets.HEADER in sheet
    assert worksheets.SOLVED in joined(sheets[path.stem, True])


@pytest.mark.parametrize("solved", [False, True], ids=["worksheet", "solutions"])
def test_it_runs_from_top_to_bottom(solved, sheets):
    """The quickest chapter, made smaller still: what is asked is whether everything that is needed is there."""
    path = next(path for path in CHAPTERS if path.stem.startswith(CHEAPEST))
    text = json.dumps(sheets[path.stem, solved])
    for whole, small in (("images: int = 32 ", "images: int = 8 "), ("steps: int = 60 ", "steps: int = 6 ")):
        assert text.count(whole) == 1
        text = text.replace(whole, small)
    notebook = nbformat.reads(text, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    told = [out["text"] for cell in notebook.cells for out in cell.get("outputs", []) if out["output_type"] == "stream"]
    checks = sum(worksheets.CHECK in cell.metadata.get("tags", []) for cell in notebook.cells)
    assert "".join(told).count("Not answered yet.\n") == (0 if solved else checks)
    assert solved or checks >= 2


def test_the_command_writes_both_notebooks_and_refuses_a_foreign_chapter(tmp_path, capsys):
    assert make_worksheets.main(["3", "--output", str(tmp_path)]) == 0
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.ipynb")) == [
        "03_adaptive_filter.ipynb",
    ]
    assert [p.name for p in (tmp_path.parent / f"{tmp_path.name}-solutions").iterdir() if p.suffix == ".ipynb"] == [
        "03_adaptive_filter.ipynb"
    ]
    assert make_worksheets.main(["99", "--output", str(tmp_path)]) == 2
    assert "99" in capsys.readouterr().err


def test_a_worksheet_that_was_worked_in_is_kept(tmp_path, capsys):
    path = tmp_path / "sheet.ipynb"
    make_worksheets.write({"cells": 1}, path)
    make_worksheets.write({"cells": 2}, path)  # nobody has touched the first: it goes
    assert not list(tmp_path.glob("*mine*"))
    path.write_text("my answers")
    make_worksheets.write({"cells": 3}, path)
    assert (tmp_path / "sheet.mine-1.ipynb").read_text() == "my answers"
    assert json.loads(path.read_text()) == {"cells": 3}
    assert "sheet.mine-1.ipynb" in capsys.readouterr().out


STATEMENT = "````{exercise} Sum (5 minutes, easy)\n:label: ex-sum\nAdd.\n\n```python\nx = 1\n```\n````"


def test_an_exercise_without_a_solution_has_its_answer_cell_behind_the_statement():
    sheet = made(text(f"# T\n\n## Exercises\n\n{STATEMENT}\n\n## Further reading\n\nBooks."))
    shown = [("".join(c["source"])).split("\n")[0] for c in sheet["cells"]]
    assert shown == [
        "# T",
        "## Exercises",
        "### Exercise 1 · Sum (5 minutes, easy)",
        "# Your answer here.",
        "## Further reading",
    ]
    assert "```python\nx = 1\n```" in joined(sheet)


def test_exercises_have_the_numbers_that_they_have_in_the_book():
    sheet = made(text(f"# 08 · Shift\n\n{STATEMENT}\n\n{STATEMENT.replace('ex-sum', 'ex-two')}"))
    assert "### Exercise 8.1 · Sum" in joined(sheet)
    assert "### Exercise 8.2 · Sum" in joined(sheet)


def test_a_solution_of_prose_and_code_over_several_cells_is_taken_out_and_put_in():
    cells = (
        text(f"{STATEMENT}\n\n````{{solution-start}} ex-sum\n:class: dropdown\n````\n\nSecret."),
        code("total = 1 + 1"),
        text("More of the secret.\n\n````{solution-end}\n````\n\nAfter."),
    )
    sheet, solved = made(*cells), made(*cells, solved=True)
    assert "ecret" not in joined(sheet)
    assert "total" not in joined(sheet)
    assert joined(sheet).rstrip().endswith("# Your answer here.\nAfter.")
    assert "Secret.\ntotal = 1 + 1\nMore of the secret.\nAfter." in joined(solved)
    assert "# Your answer here." not in joined(solved)


def test_a_solution_in_one_cell_and_one_inside_another_directive():
    inside = "`````{note}\n````{solution} ex-sum\n:class: dropdown\nTwo. {cite:t}`haykin2002`\n````\n`````"
    sheet, solved = made(text(f"{STATEMENT}\n\n{inside}")), made(text(f"{STATEMENT}\n\n{inside}"), solved=True)
    assert "Two." not in joined(sheet)
    assert joined(sheet).count("# Your answer here.") == 1
    assert "Two. <haykin2002>" in joined(solved)


def test_a_statement_over_several_cells_is_kept_whole():
    sheet = made(
        text("```{exercise-start} Long\n:label: ex-long\n```\n\nFirst look."),
        code("given = 3"),
        text("Then think.\n\n```{exercise-end}\n```\n\n```{solution} ex-long\nHidden.\n```"),
    )
    assert ["".join(c["source"]) for c in sheet["cells"]] == [
        "### Exercise 1 · Long",
        "First look.",
        "given = 3",
        "Then think.",
        "# Your answer here.",
    ]


def test_what_looks_like_a_solution_inside_code_is_code():
    quoted = "```text\n{solution-start} ex-sum\n```\n\n````\n```{solution-end}\n```\n````"
    assert "{solution-end}" in joined(made(text(f"{STATEMENT}\n\n{quoted}")))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([STATEMENT, "```{solution-start} ex-sum\n```\n\nOpen"], "never ends"),
        ([STATEMENT, "```{solution-end}\n```"], "never started"),
        ([STATEMENT, "```{solution} ex-other\nX\n```"], "ex-other"),
        ([STATEMENT, STATEMENT], "two exercises"),
        (["```{exercise} Nameless\nX\n```"], "no :label:"),
        ([STATEMENT, "```{solution-start} ex-sum\n```\n\n```{solution-start} ex-sum\n```"], "starts within"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(cells, words):
    with pytest.raises(ExerciseError, match=words) as refusal:
        made(*map(text, cells))
    assert "\n" not in str(refusal.value)


def answered(sheet, *lines):
    """Run the code of a worksheet with lines of a student's put in behind the answer cell."""
    at = next(n for n, c in enumerate(sheet["cells"]) if "".join(c["source"]).startswith("# Your answer here."))
    sources = ["".join(c["source"]) for c in sheet["cells"] if c["cell_type"] == "code"]
    place = sum(c["cell_type"] == "code" for c in sheet["cells"][: at + 1])
    exec("\n".join([*sources[:place], *lines, *sources[place:]]), {})


CHECKED = (
    text(f"{STATEMENT}\n\n````{{solution-start}} ex-sum\n````"),
    code("total, unit = 1 + 1, 1\nassert total > 1"),
    code('# total: of one and one\nhint = "count again"\nassert abs(total - 2) < 0.1, hint', "check-answer"),
    text("````{solution-end}\n````"),
)


def test_a_check_is_silent_before_an_answer_accepts_the_right_one_and_hints_at_a_wrong_one(capsys):
    sheet = made(*CHECKED)
    assert "# Your answer here.\n# total: of one and one\ntotal = None" in joined(sheet)
    assert "unit" not in joined(sheet)
    answered(sheet)
    assert capsys.readouterr().out == "Not answered yet.\n"
    answered(sheet, "total = 2")
    assert capsys.readouterr().out == "Right.\n"
    with pytest.raises(AssertionError, match="count again"):
        answered(sheet, "total = 3")


def pruned(*sources, needed=()):
    return prune([s if isinstance(s, dict) else code(s) for s in sources], needed)


def test_numbers_for_the_text_go_and_what_the_physics_needs_stays():
    hidden = code("fits = slopes(table)\nkept = fits.max()\nglue('fit', kept)\nunused = 1", "remove-cell")
    assert pruned("table = 3", hidden, "print(kept)") == [
        "table = 3",
        "fits = slopes(table)\nkept = fits.max()",
        "print(kept)",
    ]
    assert pruned("table = 3", hidden, "print(table)") == ["table = 3", "", "print(table)"]


def test_what_is_computed_anew_before_it_is_used_needs_no_earlier_one():
    hidden = code("fits = slow()\nif fits:\n    rest = 1", "remove-cell")
    assert pruned(hidden, "fits = [2]", "print(fits)") == ["", "fits = [2]", "print(fits)"]


def test_cards_recordings_and_loops_that_only_glue_go():
    cards = "recording = recorded.load(root, '10')\nquick = judge(table)\npages.claim_cards(quick)"
    shows = "if recording:\n    display(plots.x(recording.tables))"
    loop = "x = 2\nfor name, value in rows:\n    found = f(value)\n    glue(name, found)"
    assert pruned(cards, shows, loop) == ["", "", "x = 2"]
    assert pruned(cards, "there = recording.tables") == [
        "recording = recorded.load(root, '10')",
        "there = recording.tables",
    ]


def test_imports_stay_name_by_name():
    source = "import numpy as np\nfrom myst_nb import glue\nfrom bnlab import a, b as c, d\n\nuse_style()"
    assert pruned(source, "c(np.pi)") == ["import numpy as np\nfrom bnlab import b as c\n\nuse_style()", "c(np.pi)"]
    assert pruned(source, "", needed={"d"})[0] == "from bnlab import d\n\nuse_style()"


def test_comments_go_with_their_statement():
    source = "# told to the page\nglue('x', x)\n\n# physics\ny = 1  # a length"
    assert pruned(source) == ["\n# physics\ny = 1  # a length".strip()]


@pytest.mark.parametrize(
    ("source", "binds", "needs"),
    [
        ("y = [x for x in data]", {"y"}, {"data"}),
        ("for i in range(n):\n    last = i\nprint(last)", {"i", "last"}, {"n", "print", "range"}),
        ("def f(a):\n    return a + later\nlater = 1", {"f", "later"}, set()),
        ("try:\n    g()\nexcept ValueError as refusal:\n    print(refusal)", {"refusal"}, {"g", "ValueError", "print"}),
        ("if x is None:\n    a = 1\nelse:\n    b = a", {"a", "b"}, {"x"}),
        ("with pool() as p:\n    q = p(r)", {"p", "q"}, {"pool", "r"}),
        ("def top(*a):\n    b = f(*a)\n    return g(b)", {"top"}, {"f", "g"}),  # a name that symtable mistakes
    ],
)
def test_names_that_code_binds_and_needs(source, binds, needs):
    assert names(source) == (binds, needs)


def test_markdown_becomes_plain():
    given = (
        "(label)=\n## Head\n\nA {glue:text}`x:.2f`, $[a](b)$, `{cite:t}`, [ch](04_natural_modes.ipynb#modes), "
        "[out](https://x.org), [gone](#err-3), {numref}`fig-1`, {cite:p}`a,b`.\n\n"
        ":::{prf:theorem} T\n:label: t\nLet $x$.\n:::\n\n```{bibliography}\n:filter: x\n```\n\n"
        "````{admonition} Why\n:class: tip\nSo {glue:text}`y`.\n````"
    )
    assert myst.plain(given, SMALL.cite, {"fig-1": "Figure 1"}, {"04_natural_modes.ipynb"}) == (
        "## Head\n\nA ▢, $[a](b)$, `{cite:t}`, [ch](04_natural_modes.ipynb#modes), [out](https://x.org), gone, "
        "Figure 1, (<a>; <b>).\n\n**Theorem** (T). Let $x$.\n\n> **Why**\n>\n> So ▢."
    )


def test_authors_are_told_as_a_sentence_tells_them():
    cite = make_worksheets.references().cite
    assert [cite(key, True) for key in ("haykin2002", "marchenko1967", "lecun1998")] == [
        "Haykin (2002)",
        "Marčenko and Pastur (1967)",
        "LeCun et al. (1998)",
    ]
    assert cite("bohning1992", False) == "Böhning, 1992"


def test_all_code_parses_and_is_written_as_a_notebook_is(sheets, tmp_path):
    for (stem, _), sheet in sheets.items():
        make_worksheets.write(sheet, tmp_path / f"{stem}.ipynb")
        read = json.loads((tmp_path / f"{stem}.ipynb").read_text(encoding="utf-8"))
        for cell in read["cells"]:
            if cell["cell_type"] == "code":
                ast.parse("".join(cell["source"]))
