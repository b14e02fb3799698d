"""The verdict: one sentence a case, and never more than the tables show."""

import math

import pandas as pd
import pytest

from sam_sde.report.verdict import alone, compared, p_words, verdicts

LABELS = {"SGD": "SGD", "SAM": "SAM (ρ = 0.02)"}


def arm(name, *, escaped=1000, censored=0, failed=0, mean=1.0):
    """The row of an arm of 1,000 paths, with an interval of a tenth."""
    counts = {"n_paths": 1000, "n_escaped": escaped, "n_censored": censored, "n_failed": failed, "t_max": 10.0}
    return {"arm": name, "rmst": mean, "rmst_low": 0.9 * mean, "rmst_high": 1.1 * mean} | counts


def against(ratio, low, high, p=1e-20, cross=False):
    ratios = {"rmst_ratio": ratio, "ratio_low": low, "ratio_high": high, "p_adjusted": p, "curves_cross": cross}
    return {"arm": "SAM", "reference": "SGD"} | ratios


ALL = {"own": arm("SAM"), "other": arm("SGD")}
SOME = {"own": arm("SAM", escaped=700, censored=300), "other": arm("SGD")}
FEW = {"own": arm("SAM", escaped=20, censored=980), "other": arm("SGD")}
FEW_OF_THE_REFERENCE = {"own": arm("SAM"), "other": arm("SGD", escaped=49, censored=951)}
FEW_OF_BOTH = {"own": arm("SAM", escaped=0, censored=1000), "other": arm("SGD", escaped=10, censored=990)}


@pytest.mark.parametrize(
    ("row", "arms", "sentence"),
    [
        pytest.param(
            against(3.1, 2.9, 3.3),
            ALL,
            "SAM (ρ = 0.02) stays 3.1 times longer than SGD, 95 % interval 2.9–3.3, p < 1e-16.",
            id="longer",
        ),
        pytest.param(
            against(1.0672, 1.0561, 1.0781, 0.00012),
            ALL,
            "SAM (ρ = 0.02) stays 1.07 times as long as SGD, 95 % interval 1.06–1.08, p = 0.00012.",
            id="a little longer",
        ),
        pytest.param(
            against(0.5, 0.4, 0.6, 0.012),
            ALL,
            "SAM (ρ = 0.02) leaves sooner than SGD: it stays 0.5 times as long, 95 % interval 0.4–0.6, p = 0.012.",
            id="sooner",
        ),
        pytest.param(
            against(1.02, 0.97, 1.07, 0.4),
            ALL,
            "No difference shown between SAM (ρ = 0.02) and SGD: the ratio of their mean times is 1.02, "
            "95 % interval 0.97–1.07, p = 0.4.",
            id="no difference",
        ),
        pytest.param(
            against(3.1, 2.9, 3.3),
            SOME,
            "SAM (ρ = 0.02) stays 3.1 times longer than SGD, 95 % interval 2.9–3.3, p < 1e-16 (mean times restricted "
            "to t_max = 10).",
            id="restricted",
        ),
        pytest.param(
            against(9.8, 9.5, 10.1),
            FEW,
            "SAM (ρ = 0.02) stays at least 9.8 times longer than SGD, a lower bound: only 2 % of its paths escaped "
            "before t_max = 10 (95 % interval of the ratio to t_max 9.5–10.1, p < 1e-16).",
            id="lower bound",
        ),
        pytest.param(
            against(0.1, 0.09, 0.11),
            FEW_OF_THE_REFERENCE,
            "SAM (ρ = 0.02) leaves sooner than SGD: it stays at most 0.10 times as long, an upper bound: only 4.9 % of "
            "the paths of SGD escaped before t_max = 10 (95 % interval of the ratio to t_max 0.09–0.11, p < 1e-16).",
            id="upper bound",
        ),
        pytest.param(
            against(1.01, 1.005, 1.015),
            FEW_OF_BOTH,
            "Whether SAM (ρ = 0.02) stays longer than SGD is not shown: only 0 % and 1 % of their paths escaped before "
            "t_max = 10.",
            id="hardly any escapes",
        ),
        pytest.param(
            against(3.1, 2.9, 3.3, math.nan, cross=True),
            ALL,
            "SAM (ρ = 0.02) stays 3.1 times longer than SGD, 95 % interval 2.9–3.3. Their survival curves cross: which "
            "of them stays longer depends on the time.",
            id="crossing curves, paired",
        ),
        pytest.param(
            against(math.nan, math.nan, math.nan),
            {"own": arm("SAM", escaped=0, failed=1000, mean=math.nan), "other": arm("SGD")},
            "SAM (ρ = 0.02) cannot be compared with SGD: all 1,000 paths of SAM failed.",
            id="failed",
        ),
        pytest.param(
            against(2.0, math.nan, math.nan),
            ALL,
            "SAM (ρ = 0.02) cannot be compared with SGD: there are too few paths.",
            id="too few paths",
        ),
    ],
)
def test_each_case_has_its_sentence(row, arms, sentence):
    assert compared(row, **arms, labels=LABELS) == sentence


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (arm("SGD"), "SGD stays 1.0 on average, 95 % interval 0.9–1.1."),
        (
            arm("SGD", escaped=600, censored=400),
            "SGD stays 1.0 on average, 95 % interval 0.9–1.1 (mean times restricted to t_max = 10).",
        ),
        (
            arm("SGD", escaped=20, censored=980, mean=9.9),
            "SGD stays at least 9.9 on average, a lower bound: only 2 % of its paths escaped before t_max = 10.",
        ),
        (
            arm("SGD", escaped=0, failed=1000, mean=math.nan),
            "Nothing is known of SGD: all 1,000 paths of SGD failed.",
        ),
        (
            arm("SGD") | {"rmst_low": math.nan, "rmst_high": math.nan},
            "SGD stays 1.00 on average; so few paths have no interval.",
        ),
    ],
    ids=["all left", "restricted", "lower bound", "failed", "one path"],
)
def test_an_arm_alone_has_its_mean(row, sentence):
    assert alone(row, "SGD") == sentence


def test_every_other_arm_has_a_sentence_and_what_did_not_end_too():
    summary = pd.DataFrame([arm("SGD"), arm("SAM")])
    unfinished = {"USAM": "out of memory"}
    told = verdicts(summary, pd.DataFrame([against(3.1, 2.9, 3.3)]), LABELS, unfinished)
    assert [sentence.split(" stays")[0] for sentence in told] == ["SAM (ρ = 0.02)", "USAM did not end: out of memory."]
    told = verdicts(summary, None, LABELS, {})
    assert [sentence.split(" stays")[0] for sentence in told] == ["SGD", "SAM (ρ = 0.02)"]


@pytest.mark.parametrize(
    ("p", "words"), [(0.0, ", p < 1e-16"), (1e-16, ", p = 1e-16"), (0.04, ", p = 0.04"), (math.nan, "")]
)
def test_a_p_value_is_not_told_below_what_it_means(p, words):
    assert p_words(p) == words
