"""Rates around the best, and what the page says of runs under noise: rates run, where they end too early, seeds."""

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance import noise_matching, noise_prose

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)


def tuned(best):
    """Tuning runs in which each method is best at its rate."""
    return pd.DataFrame([
        {"norm": norm, "noise": 0.0, "rate": rate, "seed": 1000, "fc": "frozen", "role": "tuning", "step": 1,
         "test_error": 0.1 if rate == at else 0.5, "test_loss": 1.0, "diverged": False}
        for norm, at in best.items() for rate in RATES
    ])  # fmt: skip


def test_neighbours_of_the_best_rate_are_as_many_as_there_are():
    found = noise_matching.around_best(tuned({"none": 0.1, "batch": 1.0, "batch_prior": 0.01}))
    assert found == {"none": (0.03, 0.1, 0.3), "batch": (0.3, 1.0), "batch_prior": (0.01, 0.03)}


def test_a_best_rate_at_either_end_is_told():
    inside = {"none": 0.1, "batch": 0.1}
    assert noise_prose.at_the_edge(tuned(inside)) == (
        "every method is best at a rate between the lowest, 0.01, and the highest, 1"
    )
    assert "beyond the best one of Baseline (at 0.01), so" in noise_prose.at_the_edge(tuned(inside | {"none": 0.01}))
    both = {"none": 0.01, "batch": 0.1, "nlms_l2": 1.0}
    assert "beyond the best one of NLMS, L2 (at 1) and Baseline (at 0.01), so" in noise_prose.at_the_edge(tuned(both))


def test_declared_rates_that_were_not_run_are_told():
    runs = pd.DataFrame({"rate": [0.01, 0.1, 0.1]})
    assert noise_prose.how_run([0.1, 0.01], runs, runs) == "All rates declared for full scale were run."
    assert noise_prose.how_run([0.1, 3, 1, 0.01], runs, runs).endswith("full scale 1 and 3 were not run.")


def test_eight_seeds_are_enough_and_seven_are_not():
    assert "should have eight seeds and has 7" in noise_prose.of_seeds(7)
    assert noise_prose.of_seeds(8) == "it has 8 seeds, so that a one-sided sign test gives at least 0.004"


def test_long_runs_are_told_or_missed():
    assert "not recorded yet" in noise_prose.long_told(None, 0)
    told = noise_prose.long_told(tuned({"none": 1.0}), 40)
    assert "the 40 epochs of Figure 10" in told
    assert "In these no rate was tried beyond the best one of Baseline (at 1)" in told


def test_ends_of_the_long_runs_are_told_with_what_an_untrained_layer_costs():
    clean = {("none", "frozen"): 0.04, ("batch", "frozen"): 0.03, ("none", "trained"): 0.01}
    rows = [tuned({"none": 0.1, "batch": 0.3}), tuned({"none": 1.0}).assign(fc="trained")]
    for (norm, fc), error in clean.items():
        for rate in (0.1, 0.3, 1.0):
            best = rate == {"none": 0.1, "batch": 0.3}[norm] if fc == "frozen" else rate == 1.0
            for noise in (0.0, 10.0) if fc == "frozen" else (0.0,):
                for seed in range(3):
                    row = {"norm": norm, "noise": noise, "rate": rate, "seed": seed, "fc": fc, "role": "reported"}
                    then = noise * {"none": 1.2e-3, "batch": 1e-3}[norm]
                    error_then = error + 0.001 * seed + then if best else 0.5
                    rows.append(pd.DataFrame([row | {"step": 9, "test_error": error_then, "diverged": False}]))
    runs = pd.concat(rows, ignore_index=True)
    cost = (
        "Left untrained, the last layer costs the baseline 3.0 points of accuracy without noise (95.9 percent in place "
        "of 98.9); the document has four points."
    )
    assert noise_prose.cost_told(runs) == cost
    told = noise_prose.ended_told(runs, 40, "MNIST")
    assert told.startswith("Over 40 epochs of MNIST, with the last layer untrained,")
    added = (
        "In the long runs noise 10 adds, in points (medians, the least first, each method at a clean error of its own, "
        "3.1 to 4.1 percent): BN after 1.0; Baseline 1.2; each adds less than the next in 3 of 3 seeds."
    )
    assert noise_prose.disturbed_told(runs) == added
    assert told.endswith(f"other seeds): BN after 3.1 and 4.1; Baseline 4.1 and 5.3. {added} {cost}")


def at_one_level(nlms):
    """Runs of eight seeds at one clean error, in which NLMS adds so much more than the least of the others."""
    added = {"none": 0.03, "batch": 0.02, "batch_prior": 0.01, "nlms_l1": 0.0}
    rows = [(norm, seed, error) for norm, error in added.items() for seed in range(8)]
    rows += [("nlms_l2", seed, 0.01 + more) for seed, more in enumerate(nlms)]
    return pd.DataFrame(rows, columns=["norm", "seed", "increase"])


def test_nlms_is_set_beside_the_least_of_the_others_compared():
    found = at_one_level([0.02, 0.03, 0.02, 0.04, 0.02, 0.03, 0.02, -0.005])
    assert noise_prose.least_told(found).startswith(
        "NLMS (L2) minus BN before (BN_Prior), the least of the other three, is +2.0 points in the median of the seeds"
    )
    assert noise_prose.least_told(found).endswith("NLMS is the least disturbed of the four in 1 of 8 seeds.")
    assert noise_prose.told_apart(found) == "the interval of their paired difference tells apart"
    assert "tells apart" in noise_prose.told_apart(at_one_level([-0.004, -0.005, -0.006] * 2 + [-0.005] * 2))
    assert "does not tell apart" in noise_prose.told_apart(at_one_level([0.02, -0.02] * 4))


def test_the_third_expectation_is_told_at_both_levels_and_with_the_rates():
    def runs(best, clean, noisy):
        """Errors that fall to ``clean`` at the best rate; noise adds ``noisy`` there, and half at the lowest."""
        return pd.DataFrame([
            {"norm": norm, "noise": noise, "rate": rate, "seed": seed, "fc": "frozen", "role": role, "step": 9,
             "test_error": error + (noise > 0) * (noisy if rate == best[norm] else noisy / 2), "test_loss": 1.0,
             "diverged": False}
            for norm in best for rate in RATES
            for error in [0.6 if rate == RATES[0] else clean if rate == best[norm] else 0.5]
            for role, seeds in (("tuning", [1000]), ("reported", range(3)))
            for noise in ((0.0,) if role == "tuning" else (0.0, 10.0)) for seed in seeds
        ])  # fmt: skip

    names = ("none", "batch", "batch_prior", "nlms_l2")
    short, long = runs(dict.fromkeys(names, 0.3), 0.2, 0.1), runs(dict.fromkeys(names, 0.3) | {"none": 0.1}, 0.1, 0.04)
    assert noise_prose.third_expectation(short, long) == (
        "There the short runs stand at the clean error 0.20; at 0.20, the best of the worst of them, the long runs add "
        "less to 4 of 4. The best rate is lower in the long runs for 1."
    )
    worse = runs(dict.fromkeys(names, 0.3), 0.1, 0.2)
    assert "add less to 0 of 4. The best rate is lower in the long runs for 0." in noise_prose.third_expectation(
        short, worse
    )


def test_without_long_runs_their_ends_are_not_told():
    assert noise_prose.ended_told(None, 0, "MNIST").endswith("are not recorded yet.")
    assert noise_prose.cost_told(None).endswith("is not recorded yet.")
    assert noise_prose.disturbed_told(None).endswith("is not recorded yet.")
