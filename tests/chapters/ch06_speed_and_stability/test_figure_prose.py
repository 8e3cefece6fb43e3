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
