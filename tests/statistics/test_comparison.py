import math
from fractions import Fraction

import lifelines.statistics
import numpy as np
import pytest
from scipy import special, stats

from sam_sde.statistics import Outcome, Sample, compare_samples, restrict, restricted_mean
from sam_sde.statistics.logrank import holm, logrank

ESCAPED, CENSORED, FAILED = Outcome

COLUMNS = [
    "arm",
    "reference",
    "rmst_difference",
    "difference_low",
    "difference_high",
    "rmst_ratio",
    "ratio_low",
    "ratio_high",
    "rate_ratio",
    "rate_ratio_low",
    "rate_ratio_high",
    "logrank_statistic",
    "p_value",
    "log10_p_value",
    "p_adjusted",
    "curves_cross",
]


def followed_to(t_max, escape):
    return Sample(np.minimum(escape, t_max), np.where(escape <= t_max, ESCAPED, CENSORED), t_max, lr=0.01)


def exponential_sample(seed, n_paths, mean=1.0, t_max=1.5):
    return followed_to(t_max, np.random.default_rng(seed).exponential(mean, n_paths))


def correlated_pair(seed, n_paths, means=(1.0, 2.0), correlation=0.8, t_max=1.5):
    """Two arms with exponential times whose normal scores are correlated, as common noise makes them."""
    first, other = np.random.default_rng(seed).standard_normal((2, n_paths))
    scores = first, correlation * first + math.sqrt(1 - correlation**2) * other
    return [followed_to(t_max, -mean * special.log_ndtr(score)) for mean, score in zip(means, scores, strict=True)]


def counted(n_escaped, n_paths, time=1.0):
    """Paths that all have the same time, of which some escaped: an exposure and a count."""
    return Sample(np.full(n_paths, time), np.repeat([0, 1], [n_escaped, n_paths - n_escaped]), t_max=2.0, lr=1)


def only_row(samples, **options):
    table = compare_samples(samples, **options)
    assert len(table) == 1
    return table.iloc[0]


def test_table_has_one_row_for_each_other_arm_and_the_columns_of_the_file():
    samples = {name: exponential_sample(seed, 50) for seed, name in enumerate("abc")}
    table = compare_samples(samples)
    assert table.columns.tolist() == COLUMNS
    assert table[["arm", "reference"]].to_numpy().tolist() == [["b", "a"], ["c", "a"]]
    assert compare_samples(samples, "b")["arm"].tolist() == ["a", "c"]


def test_differences_are_arm_minus_reference_and_ratios_arm_over_reference():
    short, long = exponential_sample(0, 500), exponential_sample(1, 500, mean=2.0)
    row = only_row({"short": short, "long": long})
    (mean, error), (base_mean, base_error) = restricted_mean(long), restricted_mean(short)
    z = stats.norm.ppf(0.975)
    assert row["rmst_difference"] == pytest.approx(mean - base_mean)
    width = row["difference_high"] - row["difference_low"]
    assert width == pytest.approx(2 * z * math.hypot(error, base_error), rel=0.02)
    assert row["rmst_ratio"] == pytest.approx(mean / base_mean)
    relative = math.hypot(error / mean, base_error / base_mean)
    assert math.log(row["ratio_high"] / row["ratio_low"]) == pytest.approx(2 * z * relative, rel=0.02)
    assert row["rate_ratio"] < 1
    assert row["logrank_statistic"] < 0


def test_swapping_arm_and_reference_negates_the_difference_and_inverts_the_ratios():
    samples = {"a": exponential_sample(2, 100), "b": exponential_sample(3, 120, mean=2.0)}
    one, other = only_row(samples, reference="a"), only_row(samples, reference="b")
    assert one["difference_low"] == pytest.approx(-other["difference_high"])
    assert one["ratio_low"] == pytest.approx(1 / other["ratio_high"])
    assert one["rate_ratio_low"] == pytest.approx(1 / other["rate_ratio_high"])
    assert one["logrank_statistic"] == pytest.approx(-other["logrank_statistic"])


@pytest.mark.parametrize("paired", [False, True])
def test_everything_is_restricted_to_the_smallest_t_max(paired):
    long, short = exponential_sample(4, 200, t_max=5.0), exponential_sample(5, 200, t_max=2.0)
    restricted = {"long": restrict(long, 2.0), "short": short}
    options = {"paired": paired}
    assert compare_samples({"long": long, "short": short}, **options).equals(compare_samples(restricted, **options))


# The log-rank test


@pytest.mark.parametrize("grid", [None, 0.25])
@pytest.mark.parametrize("mean", [1.0, 1.5])
def test_logrank_is_that_of_lifelines_and_scipy(grid, mean):
    samples = []
    for seed, scale in enumerate((1.0, mean)):
        generator = np.random.default_rng(seed)
        escape, lost = generator.exponential(scale, 80), generator.uniform(0, 4, 80)
        if grid is not None:
            escape = np.ceil(escape / grid) * grid
        end = np.minimum(lost, 2.0)
        outcome = np.where(escape <= end, ESCAPED, CENSORED)
        samples.append(Sample(np.minimum(escape, end), outcome, t_max=2.0, lr=1))
    a, b = samples
    statistic, p_value, log10_p_value = logrank(b, a).values()
    other = lifelines.statistics.logrank_test(a.times, b.times, a.outcome == ESCAPED, b.outcome == ESCAPED)
    assert statistic**2 == pytest.approx(other.test_statistic, rel=1e-9)
    assert p_value == pytest.approx(other.p_value, rel=1e-9)
    assert log10_p_value == pytest.approx(math.log10(other.p_value), rel=1e-9)
    censored = (stats.CensoredData.right_censored(s.times, s.outcome == CENSORED) for s in (b, a))
    assert statistic == pytest.approx(stats.logrank(*censored).statistic, rel=1e-9)


def test_logrank_is_exact_where_products_of_counts_exceed_64_bits():
    """Many paths that escape at few distinct times, as steps make them, against exact fractions."""
    n_paths, n_steps = 200_000, 20
    a, b = (
        followed_to(5.0, np.ceil(np.random.default_rng(seed).exponential(1, n_paths) * n_steps) / n_steps)
        for seed in (6, 7)
    )
    excess, variance = Fraction(0), Fraction(0)
    for time in np.unique(np.concatenate([a.times[a.escaped], b.times[b.escaped]])):
        at_risk, total = int(np.sum(a.times >= time)), int(np.sum(a.times >= time) + np.sum(b.times >= time))
        own = int(np.sum(a.escaped & (a.times == time)))
        escapes = own + int(np.sum(b.escaped & (b.times == time)))
        excess += own - Fraction(escapes * at_risk, total)
        variance += Fraction(escapes * at_risk * (total - at_risk) * (total - escapes), total**2 * (total - 1))
    assert logrank(a, b)["logrank_statistic"] == pytest.approx(float(excess) / math.sqrt(variance), rel=1e-9)


def test_logrank_of_equal_laws_is_standard_normal():
    statistics = [
        logrank(exponential_sample(seed, 100), exponential_sample(10**6 + seed, 100))["logrank_statistic"]
        for seed in range(2000)
    ]
    assert stats.kstest(statistics, "norm").pvalue > 1e-4


def test_a_p_value_too_small_for_a_number_has_its_logarithm():
    """The tail of the normal law is exp(-z²/2) / (z√(2π)) · (1 - 1/z² + 3/z⁴)."""
    row = logrank(exponential_sample(0, 20_000, mean=3.0), exponential_sample(1, 20_000))
    z = abs(row["logrank_statistic"])
    tail = -(z**2) / 2 + math.log(2 / (z * math.sqrt(2 * math.pi)) * (1 - z**-2 + 3 * z**-4))
    assert row["p_value"] == 0
    assert row["log10_p_value"] == pytest.approx(tail / math.log(10), rel=1e-9)


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.04 are multiplied by 3, 2, 1 and made monotone: 0.03, 0.04, 0.04."""
    np.testing.assert_allclose(holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(holm([0.5, math.nan, 0.9, 0.01]), [1.0, math.nan, 1.0, 0.03])
    np.testing.assert_allclose(holm([0.03, 0.02]), [0.04, 0.04])
    assert holm([]).size == 0


def test_adjusted_p_values_are_holms_over_the_arms():
    samples = {str(mean): exponential_sample(8, 200, mean) for mean in (1.0, 1.2, 1.3, 1.0001)}
    table = compare_samples(samples)
    np.testing.assert_allclose(table["p_adjusted"], holm(table["p_value"]))
    assert (table["p_adjusted"] >= table["p_value"]).all()


# The ratio of rates


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("mean", "t_max"), [(1.0, 1.5), (2.0, 0.1)])
def test_rate_ratio_interval_of_constant_rates_is_that_of_many_poisson_counts(mean, t_max, paired):
    """√(1/k + 1/l) is the error of the logarithm of a ratio of two Poisson counts."""
    arm, base = exponential_sample(0, 20_000, mean, t_max), exponential_sample(1, 20_000, t_max=t_max)
    row = only_row({"base": base, "arm": arm}, paired=paired)
    escapes = [np.count_nonzero(sample.escaped) for sample in (arm, base)]
    exposures = [sample.times.sum() for sample in (arm, base)]
    assert row["rate_ratio"] == pytest.approx(escapes[0] / exposures[0] * exposures[1] / escapes[1])
    error = math.hypot(*(count**-0.5 for count in escapes))
    width = math.log(row["rate_ratio_high"] / row["rate_ratio_low"])
    assert width == pytest.approx(2 * stats.norm.ppf(0.975) * error, rel=0.03)


def test_rate_ratio_to_an_arm_without_escapes_is_only_bounded_below():
    row = only_row({"base": counted(0, 50), "arm": counted(20, 50)})
    assert math.isnan(row["rate_ratio"])
    assert row["rate_ratio_low"] > 1
    assert math.isnan(row["rate_ratio_high"])


def test_rate_ratio_of_an_arm_without_escapes_is_zero_and_bounded_above():
    row = only_row({"base": counted(20, 50), "arm": counted(0, 50)})
    assert row["rate_ratio"] == row["rate_ratio_low"] == 0
    assert 0 < row["rate_ratio_high"] < 1


# Common noise


def test_paired_estimates_are_those_of_independent_arms_and_its_intervals_are_narrower():
    short, long = correlated_pair(9, 400)
    samples = {"short": short, "long": long}
    paired, independent = only_row(samples, paired=True), only_row(samples)
    for name in ("rmst_difference", "rmst_ratio", "rate_ratio"):
        assert paired[name] == pytest.approx(independent[name])
    for name in ("difference", "ratio", "rate_ratio"):
        widths = [row[f"{name}_high"] - row[f"{name}_low"] for row in (paired, independent)]
        assert widths[0] < 0.7 * widths[1]
    assert paired[["logrank_statistic", "p_value", "log10_p_value", "p_adjusted"]].isna().all()


def test_paired_interval_of_the_difference_is_that_of_the_mean_of_the_differences():
    short, long = correlated_pair(10, 400)
    row = only_row({"short": short, "long": long}, paired=True)
    differences = long.times - short.times
    degrees = min(np.count_nonzero(differences), 200)
    assert row["rmst_difference"] == pytest.approx(differences.mean())
    assert row["difference_low"] == pytest.approx(
        differences.mean() - stats.t.ppf(0.975, degrees) * stats.sem(differences)
    )


@pytest.mark.parametrize("n_paths", [10, 400])
def test_paired_bounds_of_the_ratio_are_those_at_which_the_difference_holds_zero(n_paths):
    """At a bound r, |mean(x - r·y)| is Student's quantile times its error."""
    short, long = correlated_pair(10, n_paths)
    row = only_row({"short": short, "long": long}, paired=True)
    degrees = min(np.count_nonzero(long.times != short.times), (n_paths + 1) // 2)
    for bound in (row["ratio_low"], row["ratio_high"]):
        rest = long.times - bound * short.times
        assert abs(rest.mean()) == pytest.approx(stats.t.ppf(0.975, degrees) * stats.sem(rest))


def test_a_paired_ratio_without_an_upper_bound_leaves_it_empty():
    base, arm = Sample([0.01, 0.01, 9.0], [0] * 3, 10.0, 1), Sample([1.0, 2.0, 3.0], [0] * 3, 10.0, 1)
    row = only_row({"base": base, "arm": arm}, paired=True)
    assert 0 <= row["ratio_low"] < row["rmst_ratio"]
    assert math.isnan(row["ratio_high"])


def test_arms_that_are_the_same_path_by_path_differ_in_no_more_than_clopper_and_pearson_allow():
    sample = exponential_sample(0, 20)
    row = only_row({"a": sample, "b": sample}, paired=True)
    share = stats.binomtest(0, 20).proportion_ci(0.95, method="exact").high
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((-1.5 * share, 1.5 * share))
    assert row["ratio_high"] - 1 == pytest.approx(1.5 * share / sample.times.mean())
    assert row["rate_ratio_low"] < 1 < row["rate_ratio_high"]


def test_pairing_gains_nothing_where_the_noise_was_independent():
    short, long = correlated_pair(11, 20_000, correlation=0.0)
    samples = {"short": short, "long": long}
    paired, independent = only_row(samples, paired=True), only_row(samples)
    for name in ("difference", "ratio", "rate_ratio"):
        widths = [row[f"{name}_high"] - row[f"{name}_low"] for row in (paired, independent)]
        assert widths[0] == pytest.approx(widths[1], rel=0.03)


def test_pairs_in_which_either_path_failed_are_left_out():
    short, long = correlated_pair(12, 300)
    broken = [sample.outcome.copy() for sample in (short, long)]
    broken[0][:10] = FAILED
    broken[1][5:20] = FAILED
    failed = [Sample(s.times, outcome, s.t_max, s.lr) for s, outcome in zip((short, long), broken, strict=True)]
    kept = [Sample(s.times[20:], s.outcome[20:], s.t_max, s.lr) for s in (short, long)]
    tables = [compare_samples(dict(zip("ab", pair, strict=True)), paired=True) for pair in (failed, kept)]
    assert tables[0].equals(tables[1])


def test_paired_arms_have_as_many_paths_all_followed_to_t_max():
    with pytest.raises(ValueError, match="as many paths"):
        compare_samples({"a": exponential_sample(0, 5), "b": exponential_sample(1, 6)}, paired=True)
    early = Sample([0.5, 1.0], [CENSORED, ESCAPED], t_max=1.5, lr=1)
    with pytest.raises(ValueError, match="followed to t_max"):
        compare_samples({"a": early, "b": exponential_sample(1, 2)}, paired=True)


# What is refused, and what is degenerate


def test_unknown_reference_names_the_nearest_arm():
    samples = {"SGD": exponential_sample(0, 5), "SAM rho=0.1": exponential_sample(1, 5)}
    with pytest.raises(ValueError, match=r"unknown arm 'SAM'; did you mean 'SAM rho=0.1'\?"):
        compare_samples(samples, "SAM")


@pytest.mark.parametrize("samples", [{}, {"SGD": exponential_sample(0, 5)}])
def test_fewer_than_two_arms_are_nothing_to_compare(samples):
    with pytest.raises(ValueError, match="at least two arms"):
        compare_samples(samples)


DEGENERATE = {
    "escaped at different times": Sample([0.5, 1.0, 1.5], [ESCAPED] * 3, t_max=2.0, lr=1),
    "none escaped": Sample([2.0] * 3, [CENSORED] * 3, t_max=2.0, lr=1),
    "all at one time": Sample([0.5] * 3, [ESCAPED] * 3, t_max=2.0, lr=1),
    "all at time zero": Sample([0.0] * 3, [ESCAPED] * 3, t_max=2.0, lr=1),
    "all failed": Sample([1.0] * 3, [FAILED] * 3, t_max=2.0, lr=1),
    "one left": Sample([1.0, 1.0, 1.5], [FAILED, FAILED, ESCAPED], t_max=2.0, lr=1),
}


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("reference", DEGENERATE)
def test_degenerate_samples_leave_unknown_numbers_empty_and_never_infinite(reference, paired):
    table = compare_samples(DEGENERATE, reference, paired=paired)
    numbers = table.drop(columns=["arm", "reference"]).astype(float)
    assert not np.isinf(numbers).any(axis=None)
    assert table["curves_cross"].dtype == bool


@pytest.mark.parametrize("paired", [False, True])
def test_an_arm_that_never_escapes_still_has_a_difference_with_an_interval(paired):
    stuck = Sample(np.full(500, 1.5), np.full(500, CENSORED), t_max=1.5, lr=0.01)
    row = only_row({"SGD": exponential_sample(13, 500), "stuck": stuck}, paired=paired)
    assert 0 < row["difference_low"] < row["rmst_difference"] < row["difference_high"]
    assert 1 < row["ratio_low"] < row["rmst_ratio"] < row["ratio_high"]
    assert row["rate_ratio"] == 0
