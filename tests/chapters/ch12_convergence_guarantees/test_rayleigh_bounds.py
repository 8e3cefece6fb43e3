"""The Rayleigh quotient against its bound, on problems small enough to check."""

from bnlab.chapters.ch12_convergence_guarantees import rayleigh_bounds


def test_rayleigh_tables():
    worst = rayleigh_bounds.rayleigh_runs(4, 20, 15, 0)
    paper = worst[worst["step_length"] == 1]["worst_ratio"]
    assert paper.max() <= 1 + 1e-9
    assert worst["worst_ratio"].max() > 1
    curves = rayleigh_bounds.rayleigh_curves(4, 15, 0).pivot_table(
        index=["start", "step"], columns="series", values="gap"
    )
    assert (curves["Rayleigh quotient"] <= curves["bound"] * (1 + 1e-9)).all()
    assert (curves["plain descent"] <= curves["bound"] * (1 + 1e-9)).all()
    end = curves.loc[(slice(None), 10), "Rayleigh quotient"].droplevel("step")
    assert end["hardest"] > end["random"]
