"""Keys: what a closure holds, what a source's hash sees, and what it does not."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import bnlab
from bnlab.records import experiments, keys
from bnlab.records.arithmetic import Arithmetic
from bnlab.records.keys import KeyingError, Sources, sources
from bnlab.records.tokens import source_hash

CPU = Arithmetic("cpu", "single", "2.13", False, False)
SOURCE = '''\
"""What the module is for."""
import math  # for pi


class Ring:
    """A ring."""

    #: a comment
    radius: float = 1.0
    "of the ring"

    def area(self, text=f"{math.pi:.3f} µ {'a' + f"{1}"}"):
        """Of it."""
        return (math.pi * self.radius**2, text,
                r"raw \\n", b"bytes", """two
lines  """, "con" "catenated")
'''
if sys.version_info < (3, 12):  # quotes of one kind within each other came with 3.12
    SOURCE = SOURCE.replace("""{'a' + f"{1}"}""", """{'a' + f'''{1}'''}""")


def library(folder, files: dict[str, str]):
    """Write a small copy of the library."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    for place in {folder, *(path.parent for path in folder.rglob("*.py"))}:
        (place / "__init__.py").touch()
    return folder


@pytest.mark.parametrize(
    "same",
    [
        lambda s: s.replace("\n", "\r\n"),
        lambda s: s.replace("\n", "\r"),
        lambda s: "\ufeff" + s,
        lambda s: s.replace("  # for pi", ""),
        lambda s: s.replace("What the module is for.", "Nothing."),
        lambda s: s.replace(
            '    """Of it."""', '    """Of it.\n\n    At length.\n    """' if False else '    """Of"""'
        ),
        lambda s: s.replace('    "of the ring"\n', ""),
        lambda s: s.replace("\n\n", "\n\n\n"),
        lambda s: s.replace("1.0", "1.0   "),
        lambda s: s.replace("(math.pi * self.radius**2, text,", "(math.pi*self.radius ** 2,\n text,"),
        lambda s: s + "\n\n# the end",
        lambda s: s.rstrip("\n"),
    ],
)
def test_what_decides_no_number_changes_no_hash(same):
    assert same(SOURCE) != SOURCE
    assert source_hash(same(SOURCE)) == source_hash(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0", "1.5"),
        ("**2", "**3"),
        ("radius: float", "radius: int"),
        (".3f", ".4f"),
        (" µ ", "  µ "),
        ("{1}", "{2}"),
        ("lines  ", "lines"),
        ('"con" "catenated"', '"concatenated"'),
        ("import math", "import cmath"),
        ("        return", "    return"),
        ('b"bytes"', '"bytes"'),
    ],
)
def test_what_may_decide_one_changes_it(old, new):
    assert SOURCE.count(old) >= 1
    changed = SOURCE.replace(old, new)
    if old == "        return":  # out of the method: another program, or none
        changed = SOURCE.replace("        return (", "    x = (")
    assert source_hash(changed) != source_hash(SOURCE)


def test_an_expression_that_stands_alone_is_no_docstring():
    assert source_hash('f"{print(1)}"') != source_hash("")
    assert source_hash("f'{print(1)}'") != source_hash("f'{print(2)}'")
    assert source_hash('"text"') == source_hash("")


def test_the_hash_is_what_it_was():
    """Fixed numbers: another recipe on another Python, or after an edit, would rename every recording in silence."""
    assert source_hash("x = 1\n") == hashlib.sha256(b"NAME 1 x\nOP 1 =\nNUMBER 1 1\nNEWLINE 0 \n").hexdigest()
    indented = b"NAME 2 if\nNAME 1 x\nOP 1 :\nNEWLINE 0 \nINDENT 0 \nNEWLINE 0 \nNAME 4 pass\nNEWLINE 0 \n"
    indented += b"DEDENT 0 \nNEWLINE 0 \n"
    assert source_hash("if x:\n  pass") == hashlib.sha256(indented).hexdigest()
    text = b'NAME 1 y\nOP 1 =\nFSTRING 13 f"{x}{{}}{y}"\nNEWLINE 0 \n'
    assert source_hash('y = f"{x}{{}}{y}"') == hashlib.sha256(text).hexdigest()


PYTHONS = [
    path
    for name in ("3.11", "3.12", "3.13", "3.14")
    for path in [
        shutil.which(f"python{name}"),
        *map(str, sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python"))),
    ]
    if path
]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_gives_the_same_hashes(python, tmp_path):
    """Over the whole library and f-strings of every kind, by the file that hashes, alone."""
    folder = Path(bnlab.__file__).parent
    tricky = tmp_path / "tricky.py"
    tricky.write_text(
        'a = f"{x!r:>{w}} {{}} {y=}" f\'{z:%H:%M}\'\nb = rf"\\d{n}"\nc = f"""{\n  x  # in it\n}µ\n"""\nd = Rb"x" b"y"\n'
        'e = ("a"\n     f"b{c}" "d")\nif f"{x}": f"{y}"; g = u"x"\nh = f"{x:{\'>\'}{10}}" + f"a{f\'{b}\'}c"\n',
        encoding="utf-8",
    )
    program = (
        "import sys; from pathlib import Path; space = {}; exec(Path(sys.argv[1]).read_text('utf-8'), space)\n"
        "for path in sys.argv[2:]: print(space['source_hash'](Path(path).read_text('utf-8')))"
    )
    files = [str(path) for path in (*sorted(folder.rglob("*.py")), tricky)]
    tokens = str(folder / "records" / "tokens.py")
    command = [python, "-c", program, tokens, *files]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    if done.returncode and "pyenv" in done.stderr:
        pytest.skip("a shim without its Python")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [source_hash(Path(path).read_text("utf-8")) for path in files]


def test_a_closure_is_what_importing_would_load(tmp_path):
    files = {
        "a/top": """
            import os, numpy
            import bnlab.b.plain
            from bnlab.b import late_one as name, CONSTANT
            from .near import x
            from ..c import other
            from importlib import import_module
            def later():
                import bnlab.d.inside
                import_module("bnlab.d.called")
                import_module(".relative", "bnlab.d")
        """,
        "a/near": "x = 1",
        "b/plain": "from bnlab.e import deep",
        "b/late_one": "",
        "b/__init__": "CONSTANT = 1\nfrom bnlab.b.hidden import y",
        "b/hidden": "y = 1",
        "c/other": "",
        "d/inside": "",
        "d/called": "",
        "d/relative": "",
        "e/deep": "import bnlab.a.top",  # round in a circle
        "f/unrelated": "",
    }
    found = sources("bnlab.a.top", library=library(tmp_path / "lib", files))
    names = {name.removesuffix("/__init__").replace("/", ".") for name in files} - {"f.unrelated"}
    assert set(found) == {"bnlab", *(f"bnlab.{name}" for name in names | {"a", "c", "d", "e"})}
    assert list(found) == sorted(found)
    assert all(len(value) == 64 for value in found.values())


def test_the_public_face_is_followed_to_where_a_name_lives(tmp_path):
    files = {"face": 'HOMES = {"train": "low.training"}', "low/training": "", "top": "from bnlab import train"}
    folder = library(tmp_path / "lib", files)
    assert set(sources("bnlab.top", library=folder)) == {"bnlab", "bnlab.low", "bnlab.low.training", "bnlab.top"}


def test_a_module_that_is_not_there_or_no_python(tmp_path):
    folder = library(tmp_path / "lib", {"bad": "def f(:"})
    with pytest.raises(KeyingError, match=r"bnlab\.none has no source file"):
        sources("bnlab.none", library=folder)
    with pytest.raises(KeyingError, match=r"the source of bnlab\.bad cannot be read"):
        sources("bnlab.bad", library=folder)


@pytest.mark.parametrize("chapter", experiments.EXPERIMENTS)
def test_no_experiment_depends_on_figures_claims_or_commands(chapter):
    places = [name.split(".")[1:] for name in sources(experiments.module_name(chapter))]
    assert not {place[0] for place in places if place} & {"figures", "claims", "commands", "face"}
    assert len({place[1] for place in places if place[:1] == ["chapters"] and len(place) > 1}) == 1
    assert not [place for place in places if place and ("plot" in place[-1] or "verdict" in place[-1])]


def test_a_closure_of_the_library_holds_what_is_loaded():
    """Against Python itself: what importing an experiment loads is in its closure, but for the public face."""
    name = experiments.module_name("06")
    program = f"import sys, {name}; print(*[n for n in sys.modules if n.split('.')[0] == 'bnlab'])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) - {"bnlab.face"} <= set(sources(name))


def test_changes_are_seen_and_named(tmp_path, monkeypatch):
    folder = library(tmp_path / "lib", {"a": "import bnlab.b", "b": "x = 1", "c": "y = 1"})
    monkeypatch.setattr(bnlab, "__file__", str(folder / "__init__.py"))
    before = Sources.of("bnlab.a")
    assert before.changed() == []
    (folder / "c.py").write_text("y = 2")  # not of it
    assert before.changed() == []
    (folder / "b.py").write_text("x = 1  # a comment")
    assert before.changed() == []
    (folder / "b.py").write_text("x = 2")
    assert before.changed() == ["bnlab.b"]
    (folder / "b.py").write_text("x = 1\nimport bnlab.c")
    assert before.changed() == ["bnlab.b", "bnlab.c"]
    (folder / "b.py").write_text("x = (")
    assert "the source of bnlab.b cannot be read" in before.changed()[0]
    (folder / "b.py").unlink()
    assert "bnlab.b" in before.changed()


def test_a_key_knows_what_decides_the_numbers():
    hashes = {"bnlab.a": "1" * 64}
    facts = {"chapter": "90", "parameters": {"a": 1, "b": [2.0]}, "hashes": hashes, "data": "abc", "arithmetic": CPU}
    key = keys.recording_key(*facts.values())
    assert keys.recording_key(*{**facts, "parameters": {"b": [2.0], "a": 1}}.values()) == key
    others = [
        {"chapter": "91"},
        {"parameters": {"a": 1, "b": [3.0]}},
        {"parameters": {"a": 1}},
        {"parameters": {"a": True, "b": [2.0]}},
        {"hashes": {"bnlab.a": "2" * 64}},
        {"hashes": {"bnlab.b": "1" * 64}},
        {"data": None},
        *({"arithmetic": Arithmetic(**{**CPU.facts(), **change})} for change in (
            {"device": "cuda"}, {"engine": "batched"}, {"torch": "2.14"}, {"tf32": True}, {"deterministic": True}
        )),
    ]  # fmt: skip
    assert len({key, *(keys.recording_key(*{**facts, **other}.values()) for other in others)}) == len(others) + 1


def test_the_format_is_in_the_key(monkeypatch):
    before = keys.digest({"x": 1})
    monkeypatch.setattr(keys, "FORMAT", keys.FORMAT + 1)
    assert keys.digest({"x": 1}) != before
