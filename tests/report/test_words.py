"""Words for numbers, points, arms and the sections of a configuration."""

import pytest

from sam_sde.report.question import heading, noise_words, region_words, start_words, surface_words
from sam_sde.report.sweep_page import spelled
from sam_sde.report.words import arm_label, place, short, values_words, with_ends


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((3.1234, 2.9, 3.3), ["3.1", "2.9", "3.3"]),
        ((1.0672, 1.0561, 1.0781), ["1.07", "1.06", "1.08"]),
        ((1234.5, 1200.0, 1270.0), ["1,234", "1,200", "1,270"]),
        ((1.2e-5, 1.1e-5, 1.3e-5), ["1.20e-05", "1.10e-05", "1.30e-05"]),
        ((2.0, 2.0, 2.0), ["2.00", "2.00", "2.00"]),
    ],
)
def test_a_number_has_as_many_decimals_as_its_interval_tells(numbers, texts):
    assert with_ends(*numbers) == texts


@pytest.mark.parametrize(
    ("value", "text"), [(0.18312, "0.183"), (12.0, "12.0"), (123.4, "123"), (12345.6, "12,346"), (1e9, "1.00e+09")]
)
def test_a_short_number(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ([0.0, 1.0], "(0, 1)"),
        ([0.0, 0.0], "the origin"),
        (0.0, "the origin"),
        (0.5, "the point whose coordinates are all 0.5"),
        ("saddle", "the saddle"),
        ("initial", "the initial weights"),
        ([1.0] * 30, "(1, 1, 1, …; 30 coordinates)"),
        ("[0, 1] or [1, 1]", "[0, 1] or [1, 1]"),
    ],
)
def test_a_point(point, words):
    assert place(point) == words


@pytest.mark.parametrize(
    ("arm", "section", "label"),
    [
        ("SAM", {"rho": 0.02, "lr": None}, "SAM (ρ = 0.02)"),
        ("SAM ρ=0.02", {"rho": 0.02}, "SAM ρ=0.02"),
        ("SAM 0.9", {"rho": 0.02, "momentum": 0.9}, "SAM 0.9 (ρ = 0.02)"),
        ("SGD", {"kind": "sgd"}, "SGD"),
    ],
)
def test_an_arm_is_called_with_what_is_its_own(arm, section, label):
    assert arm_label(arm, section) == label


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.1], "0.1"),
        ([8, 16, 0.5], "8, 16 or 0.5"),
        ([3, 1, 2, 9, 5, 4], "1 to 9"),
        (list("abcdef"), "a, b, c … (6 values)"),
        ([True, None], "true or none"),
        ([[0.0, 1.0], "saddle"], "[0, 1] or saddle"),
        ([{"kind": "ball", "radius": 1.0}, {"mean": 2.0}], "ball (radius = 1) or (mean = 2)"),
    ],
)
def test_several_values(values, words):
    assert values_words(values) == words


def test_a_section_in_which_values_vary_is_told_with_all_of_them():
    varied = {"kind": "ball", "centre": {"varies": [[0, 1], [1, 1]]}, "radius": {"varies": [0.1, 0.2]}}
    assert region_words(spelled(varied)) == "the ball of radius 0.1 or 0.2 around [0, 1] or [1, 1]"
    assert arm_label("SAM", spelled({"rho": {"varies": [0.1, 0.3, 0.2]}})) == "SAM (ρ = 0.1, 0.3 or 0.2)"
    varied = {"kind": {"varies": ["ball", "loss"]}, "radius": {"varies": [1.0, None]}}
    assert region_words(spelled(varied)) == "the region ball or loss (radius = 1 or none)"
    assert noise_words(spelled({"kind": "isotropic", "sigma": {"varies": [1.0, 2.0]}})).endswith("(sigma = 1 or 2)")


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({"kind": "ball", "centre": [0.0, 1.0], "radius": 0.3}, "the ball of radius 0.3 around (0, 1)"),
        ({"kind": "box", "low": [-1.0, 0.0], "high": [1.0, 2.0]}, "the box from (-1, 0) to (1, 2)"),
        ({"kind": "loss", "above": 0.2, "below": None}, "the region where the loss is above 0.2"),
        ({"kind": "loss", "above": 0.2, "below": 1.0}, "the region where the loss is above 0.2 and below 1"),
        (
            {"kind": "loss", "above": 0.2, "samples": 200, "every": 10},
            "the region where the loss of 200 of the samples is above 0.2, looked at after every 10 steps",
        ),
        ({"kind": "mine", "size": 2.0, "other": None}, "the region mine (size = 2)"),
    ],
)
def test_a_region(region, words):
    assert region_words(region) == words


@pytest.mark.parametrize(
    ("surface", "words"),
    [
        ({"name": "beale", "model": None}, "the surface beale"),
        ({"name": "quadratic", "eigenvalues": [1.0, -1.0]}, "the surface quadratic (eigenvalues = [1, -1])"),
        ({"expression": "x**2 - y**2"}, "the loss x**2 - y**2"),
        ({"python": "a.py:loss", "dim": 3}, "the loss a.py:loss of 3 coordinates"),
        ({"model": "mlp", "data": "wine", "hidden": 8}, "the model mlp on wine (hidden = 8)"),
        ({"model": "mlp", "data": {"csv": "a.csv", "target": "y"}}, "the model mlp on a.csv"),
    ],
)
def test_a_surface(surface, words):
    assert surface_words(surface) == words


def test_noise_and_start():
    assert noise_words({"kind": "none"}) == "no noise"
    assert noise_words({"kind": "mine", "sigma": 2.0}) == "mine noise (sigma = 2)"
    assert start_words([0.0, 1.0]) == "at (0, 1)"
    normal = {"normal": {"mean": "saddle", "std": 0.01}}
    assert start_words(normal) == "scattered around the saddle with a standard deviation of 0.01"


def test_a_heading_names_few_arms_and_counts_many():
    assert heading(["SGD"]) == "How long does SGD stay?"
    assert heading(["SGD", "SAM"]) == "How long do SGD and SAM stay?"
    assert heading(list("abcd")) == "How long do 4 optimizers stay?"
