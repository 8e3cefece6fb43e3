"""What the page says of the document's figures: invented verdicts and tables, one for each thing that can come out."""

import pandas as pd
import pytest

from bnlab.chapters.ch06_speed_and_stability import figure_prose
from bnlab.claims.ledger import Verdict
from bnlab.claims.reach import Reach


def judged(**words):
    return [Verdict(name.replace("_", "-"), word, "x") for name, word in words.items()]


def test_figures_are_grouped_by_what_became_of_them():
    found = judged(C_Fig7="reproduced", C_Fig6="reproduced", C_Fig8a="partly", C_Fig5="not reproduced", C_Sup="partly")
    assert figure_prose.figures(found) == "Figures 6 and 7 come out again, Figure 8a in part, Figure 5 not"
    assert figure_prose.figures(judged(C_Fig5="not reproduced", C_Fig6="not reproduced")).endswith("come out not")


def test_the_rates_of_figure_5():
    seen = Verdict("C-Fig5", "partly", "x", settings=(1, 7))
    assert figure_prose.sides([seen]).endswith("after five steps at 1 of 7 rates.")
    assert figure_prose.sides(judged(C_Fig5="not run at full scale")) == ""


def first_steps(last):
    """Largest eigenvalues after the first and the fifth step at rate 3; losses that stay."""
    return pd.DataFrame([
        {"norm": norm, "learning_rate": 3.0, "seed": seed, "step": step, "lambda_max": value, "loss": 2.0,
         "diverged": False}
        for norm, value in last.items() for seed in range(5) for step in range(6)
    ])  # fmt: skip


@pytest.mark.parametrize(("suppress", "words"), [(40.0, "tell survivors from lost"), (90.0, "hardly tell survivors")])
def test_whether_the_first_steps_tell_who_survives(suppress, words):
    table = first_steps({"none": 150.0, "batch": 40.0, "amplify": 160.0, "suppress": suppress})
    said = figure_prose.before_it_runs_away(table, "MNIST")
    assert said.startswith(
        f"On MNIST the medians are 150 in Baseline, 40 in BN, 160 in BN_Amplify and {suppress:.0f} in"
    )
    assert words in said
    assert figure_prose.ten_times(table) == "in 0 of 5 seeds"


def test_without_the_rate_that_loses_two_networks_nothing_is_said_of_it():
    table = first_steps(dict.fromkeys(("none", "batch", "amplify", "suppress"), 40.0)).assign(learning_rate=0.01)
    assert figure_prose.before_it_runs_away(table, "MNIST") == ""
    assert figure_prose.ten_times(table) == "in runs that were not made"


def test_how_often_figure_7_was_drawn_again():
    assert figure_prose.draws(None).endswith("was not drawn again")
    assert figure_prose.draws(Reach(3, 10, (("partly", 7),), False)).endswith("came out again in 3 of 10 draws")


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
    assert "C-Fig5 is not reproduced (above: partly) in the book's own" in figure_prose.other_verdicts(reach, whole)
    assert figure_prose.other_verdicts(reach, judged(C_Fig5="not reproduced")) == ""
    assert figure_prose.other_verdicts(None, whole) == ""


@pytest.mark.parametrize(("others", "kept"), [(["partly"] * 9 + ["reported"], "did: in 9 of 10"),
                                              (["partly"] * 8 + ["reported"] * 2, "did not: in 8 of 10")])  # fmt: skip
def test_what_was_expected_of_the_causes_is_told_with_what_came(others, kept):
    changed = ["nothing", "gain 3.0", *["many"] * 9]
    rows = [("C-Sep", where, word) for where, word in zip(changed, ["partly", *others[::-1]], strict=True)]
    rows += [("C-Sup", "nothing", "not reproduced"), ("C-Sup", "gain 3.0", "reproduced")]
    names = ["claim", "changed", "verdict"]
    said = figure_prose.causes_expected(pd.DataFrame(rows, columns=names))
    assert f"(it {kept};" in said
    assert f"in {others.count('reported')} there is no gap" in said
    assert "it is turned by gain 3.0)" in said
    assert "constant in no setting (it is in 1 of 2;" in said
    assert "C-Sup" not in figure_prose.causes_expected(pd.DataFrame(rows[:-2], columns=names))
    assert "C-Sep" not in figure_prose.causes_expected(pd.DataFrame(rows[-2:], columns=names))
    calm = pd.DataFrame([("C-Sep", where, "partly") for where in changed], columns=names)
    assert "it is turned by nothing)" in figure_prose.causes_expected(calm)
    assert figure_prose.causes_expected(None) == ""
    none = pd.DataFrame([("C-Fig5", "nothing", "partly")], columns=names)
    assert figure_prose.causes_expected(none) == ""
