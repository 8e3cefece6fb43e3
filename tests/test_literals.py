import warnings

import pytest

from bnlab.literals import literal, nearest, number_in, plain_yaml


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        (" -2.5 ", -2.5),
        ("[0.1, 3.0]", [0.1, 3.0]),
        ("[1e-3, 2]", [0.001, 2]),
        ("0.1, 3", (0.1, 3)),
        ("[batch, none]", ["batch", "none"]),
        ("[1e-3, batch]", ["1e-3", "batch"]),
        ("batch", "batch"),
        ("a: b", "a: b"),
        ("", ""),
        (7, 7),
        (None, None),
    ],
)
def test_a_text_is_read_as_what_it_looks_like(typed, meant):
    read = literal(typed)
    assert read == meant
    assert type(read) is type(meant)


def test_yaml_turns_no_word_into_something_else():
    # YAML 1.1 would answer [False, None, 90, 8, datetime.date(2020, 1, 1)].
    assert literal("[off, null, 1:30, 010, 2020-01-01]") == ["off", "null", "1:30", "010", "2020-01-01"]


@pytest.mark.parametrize(
    "hostile",
    [
        "{[]: 1}",
        "[" * 5000,
        "(" * 500,
        "9" * 5000,
        "\0",
        "!!bool foo",
        "!!timestamp x",
        "&a [*a]",
        "'",
        "\\",
        "__import__('os')",
    ],
)
def test_a_hostile_text_stays_text(hostile):
    assert literal(hostile) == hostile


def test_an_odd_literal_makes_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert literal(r"'\d'") == r"\d"
        assert literal("1if") == "1if"


@pytest.mark.parametrize(("given", "number"), [("010", 10), ("1_000", 1000), ("1e3", 1000.0), (2, 2), (0.5, 0.5)])
def test_numbers(given, number):
    assert number_in(given) == number


def test_an_integer_keeps_its_digits():
    assert number_in("9007199254740993") == 2**53 + 1  # a float would make it 2**53


@pytest.mark.parametrize("given", ["abc", "1:30", True, "True", None, "", "1+1j", [1], {}, "[1]", b"1", "2020-01-01"])
def test_what_is_no_number(given):
    with pytest.raises(ValueError, match=r"^not a number$"):
        number_in(given)


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "1e400", 10**400, -(10**400), float("nan"), "9" * 5000])
def test_what_is_not_finite(given):
    with pytest.raises(ValueError, match=r"^not finite"):
        number_in(given)


def test_plain_yaml_makes_text_lists_and_mappings_only():
    assert plain_yaml("a: 04\nb: [no, 1e-3]\nc:\n") == {"a": "04", "b": ["no", "1e-3"], "c": ""}


@pytest.mark.parametrize("text", ["a: [", "[" * 5000, "\0", "a: b: c", "\t- x"])
def test_what_is_no_yaml_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^[^\n]+\Z"):
        plain_yaml(text)


def test_nearest():
    assert nearest("Epoch", ["epochs", "rates"]) == "epochs"
    assert nearest("bn_amplify", ["BN_Amplify", "BN_Suppress"]) == "BN_Amplify"
    assert nearest("mu", ["MU", "x"]) == "MU"
    assert nearest("xyzzy", ["epochs", "rates"]) is None
    assert nearest("", []) is None
