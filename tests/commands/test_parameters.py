import re
from types import SimpleNamespace

import pytest

from bnlab.commands import parameters
from bnlab.commands.parameters import ParameterError, check, injected_names, unknown, usable


def refusal(kind, value) -> str:
    with pytest.raises(ParameterError) as caught:
        usable("x", value, kind)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("x = ")
    assert line.endswith(f"it must be {kind.description}.")
    return line


@pytest.mark.parametrize(("given", "number"), [("3", 3), (3, 3), ("3.0", 3), (3.0, 3), ("1e2", 100), ("0x10", 16)])
def test_integer_accepts(given, number):
    value = usable("x", given, parameters.integer(1, 100))
    assert value == number
    assert type(value) is int


def test_integer_of_any_size_keeps_its_digits():
    assert usable("seed", "9007199254740993", parameters.integer(0)) == 9007199254740993


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("2.5", "not a whole number"),
        ("0", "below 1"),
        (101, "above 100"),
        (True, "not a number"),
        ("true", "not a number"),
        ("three", "not a number"),
        ("[3]", "not a number"),
        ("nan", "not finite"),
        (10**400, "not finite"),
        (None, "not a number"),
    ],
)
def test_integer_refuses(given, reason):
    assert f"({reason}" in refusal(parameters.integer(1, 100), given)


def test_real_knows_its_bounds():
    kind = parameters.real(0, 2)
    assert [usable("x", v, kind) for v in ("0", 2, "1e-3")] == [0.0, 2.0, 0.001]
    assert type(usable("x", "1", kind)) is float
    assert "above 2" in refusal(kind, "2.0000001")
    assert "below 0" in refusal(kind, "-1e-3")
    assert usable("x", 1e-300, parameters.real(above=0)) == 1e-300
    assert "not above 0" in refusal(parameters.real(above=0), 0)


@pytest.mark.parametrize("given", [True, "true", "True", " YES ", "1", 1])
def test_true(given):
    assert usable("x", given, parameters.boolean()) is True


@pytest.mark.parametrize("given", [False, "false", "False", "no", "0", 0])
def test_false(given):
    assert usable("x", given, parameters.boolean()) is False


@pytest.mark.parametrize("given", ["maybe", "", 2, 1.0, None, [], "[true]"])
def test_neither_true_nor_false(given):
    assert "neither true nor false" in refusal(parameters.boolean(), given)


def test_choice_names_the_nearest():
    kind = parameters.choice("batch", "none")
    assert usable("x", "none", kind) == "none"
    assert "did you mean 'batch'?" in refusal(kind, "bach")
    assert "did you mean 'batch'?" in refusal(kind, "Batch")
    assert "no such choice" in refusal(kind, "xyz")
    assert "no such choice" in refusal(kind, ["a"])


def test_text_is_taken_as_it_is():
    kind = parameters.text()
    for words in ("true", "1e-3", "a 'b' \"c\"\n\\d", "[x"):
        assert usable("x", words, kind) == words
    for nothing in ("", "  ", 3, None):
        assert "not a non-empty text" in refusal(kind, nothing)


def test_lists():
    kind = parameters.list_of(parameters.real(above=0))
    assert usable("x", "[0.1, 3]", kind) == [0.1, 3.0]
    assert usable("x", "0.1, 1e-3", kind) == [0.1, 0.001]
    assert usable("x", 2, kind) == [2.0]
    assert "not above 0" in refusal(kind, [1, -1])
    assert "0 entries" in refusal(kind, "[]")
    assert "1 entry)" in refusal(parameters.list_of(parameters.integer(), at_least=2), "7")
    assert usable("x", "[batch, none]", parameters.list_of(parameters.choice("batch", "none"))) == ["batch", "none"]
    assert usable("x", "[on, off]", parameters.list_of(parameters.choice("on", "off"))) == ["on", "off"]
    assert usable("x", "[yes, false]", parameters.list_of(parameters.boolean())) == [True, False]


def test_a_list_does_not_change_the_default_it_came_from():
    default = [1.0]
    assert usable("x", default, parameters.list_of(parameters.real())) is not default


def test_dataset_by_name():
    kind = parameters.dataset()
    assert usable("x", "digits", kind) == "digits"
    assert "did you mean 'mnist'?" in refusal(kind, "minst")
    assert "folder:PATH" in refusal(kind, 3)


def test_dataset_of_a_folder_is_found_here_or_in_the_data_root_and_made_absolute(tmp_path, monkeypatch):
    kind = parameters.dataset()
    (tmp_path / "here" / "pictures").mkdir(parents=True)
    (tmp_path / "root" / "more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("BNLAB_DATA", str(tmp_path / "root"))
    assert usable("x", "folder:pictures", kind) == f"folder:{tmp_path / 'here' / 'pictures'}"
    assert usable("x", "folder:more", kind) == f"folder:{tmp_path / 'root' / 'more'}"
    (tmp_path / "here" / "file").touch()
    for missing in (
        "folder:nowhere",
        "folder:",
        "folder: ",
        "folder:file",
        "folder:~nobody-of-that-name/x",
        "folder:\0",
    ):
        assert "no such folder" in refusal(kind, missing)


def test_device(monkeypatch):
    import torch

    kind = parameters.device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [usable("x", d, kind) for d in ("auto", "cpu")] == ["cpu", "cpu"]
    assert "sees no CUDA device" in refusal(kind, "cuda")
    assert "did you mean 'cuda'?" in refusal(kind, "cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [usable("x", d, kind) for d in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


def test_a_long_value_is_cut():
    assert len(refusal(parameters.integer(), "x" * 100_000)) < 200


KINDS = {"epochs": parameters.integer(1), "rates": parameters.list_of(parameters.real())}


def test_check_coerces_every_declared_parameter():
    namespace = {"epochs": "3", "rates": "[1]", "In": ["", "epochs: int = 2", "# Parameters\nepochs = '3'\n"]}
    assert check(namespace, **KINDS) == {"epochs": 3, "rates": [1.0]}


def test_check_works_outside_papermill():
    assert check({"epochs": 3, "rates": [1]}, **KINDS) == {"epochs": 3, "rates": [1.0]}


def test_check_refuses_an_injected_name_that_the_chapter_lacks():
    namespace = {"epochs": 2, "rates": [1], "epoch": 3, "In": ["# Parameters\nepoch = 3"]}
    with pytest.raises(
        ParameterError, match=r"^unknown parameter epoch: did you mean epochs\? This chapter has epochs, rates\.$"
    ):
        check(namespace, **KINDS)


def test_papermills_own_names_are_no_parameters():
    given = '# Parameters\nepochs = 3\nPAPERMILL_INPUT_PATH = "a.ipynb"\nPAPERMILL_OUTPUT_PATH = "b.ipynb"\n'
    assert check({"epochs": 3, "In": [given]}, epochs=parameters.integer(1)) == {"epochs": 3}
    with pytest.raises(ParameterError, match="unknown parameter PAPERMILL_OUTPUT_FOLDER"):
        check({"epochs": 3, "In": [given.replace("OUTPUT_PATH", "OUTPUT_FOLDER")]}, epochs=parameters.integer(1))


def test_check_looks_at_the_last_injection_only():
    cells = ["# Parameters\nepoch = 3", "# Parameters\nepochs = 3"]
    assert check({"epochs": 3, "rates": 1, "In": cells}, **KINDS)["epochs"] == 3


def test_check_names_what_the_parameters_cell_forgot():
    with pytest.raises(ParameterError, match="rates is checked but not declared"):
        check({"epochs": 2}, **KINDS)


def test_injected_names_take_a_cell_of_the_chapters_own_for_what_it_is():
    own = "# Parameters of the fit\nslope = 2"
    assert injected_names([own]) == []
    assert injected_names(["# Parameters\na = 1\nb = [2]\n", own]) == ["a", "b"]
    assert injected_names(["\n# Parameters \na = 1"]) == []  # papermill writes no trailing blank
    assert injected_names([]) == []


def test_unknown_shows_a_name_that_is_none_in_quotes():
    assert "unknown parameter 'a\\nb':" in str(unknown("a\nb", ["epochs"]))
    assert "did you mean" not in str(unknown("zzz", ["epochs"]))


def test_ipython_shows_one_line():
    assert ParameterError("x is wrong")._render_traceback_() == ["ParameterError: x is wrong"]


def test_kinds_are_described_for_people():
    assert parameters.integer(1, 9).description == "a whole number, at least 1 and at most 9"
    assert parameters.real(above=0).description == "a number, above 0"
    assert parameters.real().description == "a number"
    types = SimpleNamespace(integer="int", real="float", boolean="bool", text="str", dataset="str", device="str")
    assert all(getattr(parameters, name)().type == kind for name, kind in vars(types).items())
    assert re.match("one of digits, ", parameters.dataset().description)


def test_a_list_may_ask_for_no_entry_twice_and_for_few():
    kind = parameters.list_of(parameters.real(above=0), distinct=True, at_most=2)
    assert kind.coerce("[0.1, 3]") == [0.1, 3.0]
    for value, reason in (("[5, 5.0]", "5.0 is there twice"), ("[1, 2, 3]", "3 entries"), ("[]", "0 entries")):
        with pytest.raises(ParameterError, match=reason):
            parameters.usable("rates", value, kind)


def test_a_limit_may_lie_in_other_parameters_or_in_the_data():
    data = parameters.loaded("digits", size=32)
    images = len(data.train_labels)
    parameters.require(images <= len(data.train_labels), "images", images, "few")
    with pytest.raises(ParameterError, match=r"^images = 60000 cannot be used: it must be at most \d+\.$"):
        parameters.require(images >= 60000, "images", 60000, f"at most {images}")
    with pytest.raises(ParameterError, match=r"^dataset = 'folder:/nowhere' cannot be used: "):
        parameters.loaded("folder:/nowhere")


def test_a_run_is_the_readers_own_if_anything_was_injected():
    cells = ["epochs: int = 2", "# Parameters\nepochs = 3"]
    assert not parameters.own_run({})
    assert not parameters.own_run({"In": cells[:1]})
    assert parameters.own_run({"In": cells})
