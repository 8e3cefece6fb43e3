"""What the page says of settings left open: invented verdicts and runs, one for each thing that can come out."""

import pandas as pd
import pytest

from bnlab.chapters.ch06_speed_and_stability import settings_prose
from bnlab.claims.ledger import Verdict
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS

BOOK = {name: values[0] for name, values in WITHOUT_THRESHOLDS.items()}


def judged(**words):
    return [Verdict(name.replace("_", "-"), word, "x") for name, word in words.items()]


def test_verdicts_that_are_others_by_shorter_runs():
    reach = pd.DataFrame(
        [
            ("nothing", "C-Fig5", "not reproduced"),
            ("nothing", "C-Fig7", "partly"),
            ("gain 3.0", "C-Fig7", "reproduced"),
        ],
        columns=["changed", "claim", "verdict"],
    )
    whole = judged(C_Fig5="partly", C_Fig7="partly")
    assert "C-Fig5 is not reproduced (above: partly) in the book's own" in settings_prose.other_verdicts(reach, whole)
    assert settings_prose.other_verdicts(reach, judged(C_Fig5="not reproduced")) == ""
    assert settings_prose.other_verdicts(None, whole) == ""


@pytest.mark.parametrize(("others", "kept"), [(["partly"] * 9 + ["reported"], "did: in 9 of 10"),
                                              (["partly"] * 8 + ["reported"] * 2, "did not: in 8 of 10")])  # fmt: skip
def test_what_was_expected_is_told_with_what_came(others, kept):
    changed = ["nothing", "gain 3.0", *["many"] * 9]
    rows = [("C-Sep", where, word) for where, word in zip(changed, ["partly", *others[::-1]], strict=True)]
    rows += [("C-Sup", "nothing", "not reproduced"), ("C-Sup", "gain 3.0", "reproduced")]
    names = ["claim", "changed", "verdict"]
    said = settings_prose.expected(pd.DataFrame(rows, columns=names))
    assert f"(it {kept};" in said
    assert f"in {others.count('reported')} there is no gap" in said
    assert "it is turned by gain 3.0)" in said
    assert "constant in no setting (it is in 1 of 1;" in said
    assert "C-Sup" not in settings_prose.expected(pd.DataFrame(rows[:-2], columns=names))
    assert "C-Sep" not in settings_prose.expected(pd.DataFrame(rows[-2:], columns=names))
    calm = pd.DataFrame([("C-Sep", where, "partly") for where in changed], columns=names)
    assert "it is turned by nothing)" in settings_prose.expected(calm)
    assert settings_prose.expected(None) == ""
    none = pd.DataFrame([("C-Fig5", "nothing", "partly")], columns=names)
    assert settings_prose.expected(none) == ""


@pytest.mark.parametrize(
    ("rate", "images", "many", "came"),
    [
        ("reproduced", "reproduced", ["partly", "reproduced"], "(it is: in 3 of 4, partly in 1)"),
        ("not reproduced", "not judged", ["reproduced", "not judged"], "(it is not: in 1 of 4, not judged in 2)"),
        ("reproduced", "not reproduced", ["reproduced", "not judged"], "(it is not: in 2 of 4, not judged in 1)"),
    ],
)
def test_what_was_expected_of_equivalence_is_told_with_what_came(rate, images, many, came):
    changed = ["nothing", "other rate 0.01", "images enlarged", "many", "many"]
    table = pd.DataFrame({"claim": "C-Order", "changed": changed, "verdict": ["reproduced", rate, images, *many]})
    said = settings_prose.expected(table)
    assert came in said
    elsewhere = settings_prose.equivalent_elsewhere(table)
    assert elsewhere.startswith("After 6 and 7 epochs it is reproduced in the book's own setting; of the others ")
    assert elsewhere.endswith(f", reproduced in {came.partition(': in ')[2].rstrip(')')}.")
    words = {"reproduced": "stays reproduced", "not judged": "cannot be judged"}
    assert f"with another rate of everything else it {words.get(rate, f'becomes {rate}')}" in said
    assert f"with images without margins it {words.get(images, f'becomes {images}')})" in said


def test_without_its_runs_nothing_is_said_of_equivalence_elsewhere():
    assert settings_prose.equivalent_elsewhere(None) == ""
    none = pd.DataFrame([("C-Fig5", "nothing", "partly")], columns=["claim", "changed", "verdict"])
    assert settings_prose.equivalent_elsewhere(none) == ""


def test_what_was_expected_of_warm_ups_is_told_with_what_came():
    settings = [{**BOOK, "gain": gain, "batch_size": size} for gain in (1.0, 3.0) for size in (64, 16, 256)]
    runs = [
        {**setting, "norm": norm, "learning_rate": rate, "seed": seed, "step": 2 if lost else 9, "diverged": lost,
         "test_error": 0.9 if lost else 0.1}
        for setting in settings for norm in ("none", "batch") for rate in (1.0, 2.0) for seed in range(2)
        for weak in [setting["batch_size"] == 256 or (setting["gain"], setting["batch_size"]) == (3, 16)]
        for lost in [rate > 1 and (norm == "none" or (weak and seed == 1))]
    ]  # fmt: skip
    reach = pd.DataFrame(
        {
            "claim": "L-Warm6",
            "changed": ["nothing", "gain 3.0", "batch size 16", "batch size 256", "many", "many"],
            "verdict": ["reproduced"] + ["not reproduced"] * 2 + ["not judged"] + ["partly"] * 2,
        }
    )
    found = settings_prose.expected(reach, pd.DataFrame(runs))
    assert "in no setting (L-Warm6 is reproduced in 0 of 5, partly in 2, not judged in 1)" in found
    assert "(it did not: in 2 of 5)" in found
    assert "(2 of 3 are)" in found
    calm = pd.DataFrame(runs).assign(diverged=False, step=9, test_error=0.1)
    found = settings_prose.expected(reach, calm)
    assert "(it did: in 5 of 5)" in found
    assert "(0 of 3 are)" in found
    assert settings_prose.expected(reach) == ""
