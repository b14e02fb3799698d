"""The warnings: each is given where its condition holds, and not elsewhere."""

import re

import pytest
import torch

import sam_sde as ss
from sam_sde.config.building import Setting
from sam_sde.config.loading import check_config
from sam_sde.jobs.cautions import find_cautions
from sam_sde.jobs.escape import Experiment
from sam_sde.regions import LossAbove

SADDLE = {"name": "quadratic", "eigenvalues": [1.0, -2.0]}
WIDE = {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 5}, "t_max": 0.5}
SGD = {"kind": "sgd"}


def cautions(*of, **options):
    """All but that of rates that change, as they do wherever escapes have a delay first."""
    return [sentence for sentence in all_cautions(*of, **options) if "no constant rate" not in sentence]


def all_cautions(arms, escape, surface=SADDLE, n_paths=20, lr=0.01, batch_size=1, noise=None, **run):
    experiment = Experiment(
        Setting(
            check_config(
                {
                    "surface": surface,
                    "noise": noise or {"kind": "isotropic", "sigma": 0.5},
                    "optimizer": {"lr": lr, "batch_size": batch_size},
                    "arms": arms,
                    "escape": escape,
                    "run": {"n_paths": n_paths, "engine": "torchsde", **run},
                }
            )
        )
    )
    experiment.execute(lambda arm, progress: None)
    return experiment.cautions(experiment.comparison())


def test_a_run_without_trouble_has_no_warnings():
    narrow = WIDE | {"region": {"kind": "ball", "centre": [0, 0], "radius": 0.05}}
    assert cautions({"SGD": SGD, "SAM": {"kind": "sam", "rho": 0.01}}, narrow) == []


@pytest.mark.parametrize(("above", "says"), [(-2.0, "the loss of all is {:+.2g} of theirs"), (-1e9, "no path left")])
def test_a_region_that_looks_at_some_samples_says_how_far_off_these_are(above, says):
    """Samples whose losses differ by constants are as far off everywhere."""
    offsets = torch.linspace(0.0, 1.0, 30, dtype=torch.float64).square()
    surface = ss.FiniteSum(lambda w, offset: -0.5 * w[0].square() + 0.1 * w[0] + offset, offsets, 1)
    region = LossAbove(surface, above, samples=4)
    sgd = ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.1)
    result = ss.escape_times(sgd, start=[0.0], region=region, t_max=5.0, n_paths=20, engine="discrete")
    (warning,) = (each for each in find_cautions({"SGD": result.run}, {"SGD": result}, None) if "samples" in each)
    off = (offsets.mean() - region.looked_at.samples.data.mean()).item()
    assert warning.startswith("SGD: the region looks at 4 of 30 samples; ")
    assert says.format(off) in warning


def test_few_escapes_restrict_what_times_say():
    (warning,) = cautions({"SGD": SGD}, WIDE)
    assert warning.startswith(
        "SGD: only 0 % of the paths escaped before t_max = 0.5; its times are restricted to t_max"
    )
    assert "lower bound" in warning
    assert "trapped" not in warning


def test_few_escapes_come_with_the_exponent_of_the_way_of_least_action():
    """ρ²|λ|B/(ησ²) with ρ = 0.1, λ = -2, B = 3, η = 0.01 and σ = 0.5 is 24; 2ΔL·B/(ησ²) of a well 0.25 deep is 20."""
    (warning,) = cautions({"SAM": {"kind": "sam", "rho": 0.1}}, WIDE, batch_size=3)
    assert "grows like V·B/η = 24, V the least action of a way out" in warning
    well = {"start": [-1], "region": {"kind": "box", "low": [-3], "high": [0.2]}, "t_max": 0.5}
    options = {"surface": {"expression": "(x**2 - 1)**2 / 4"}, "noise": {"kind": "isotropic", "sigma": 1.0}}
    (warning,) = cautions({"SGD": SGD}, well, lr=0.05, batch_size=2, **options)
    assert "grows like V·B/η = 20, V" in warning


def test_where_that_takes_long_few_escapes_of_sam_come_with_the_exponent_of_its_trap():
    """In four dimensions."""
    escape = WIDE | {"start": [0] * 4, "region": {"kind": "ball", "centre": [0] * 4, "radius": 5}}
    surface = SADDLE | {"eigenvalues": [1.0, 1.0, 1.0, -2.0]}
    (warning,) = cautions({"SAM": {"kind": "sam", "rho": 0.1}}, escape, surface, batch_size=3)
    assert "SAM is trapped" in warning
    assert "ρ²|λ|B/(ησ²) = 24;" in warning


def test_the_exponent_takes_the_variance_along_the_unstable_direction():
    """σ² = 0.2 along y gives ρ²|λ|B/(ησ²) = 10."""
    noise = {"kind": "constant", "covariance": [[5.0, 0.0], [0.0, 0.2]]}
    (warning,) = cautions({"SAM": {"kind": "sam", "rho": 0.1}}, WIDE, noise=noise)
    assert "V·B/η = 10, V" in warning


@pytest.mark.parametrize(
    "arm",
    [{"kind": "usam", "rho": 0.1}, {"kind": "sam", "rho": 0.1, "ascent": "same"}],
    ids=["USAM", "ascent on the same batch"],
)
def test_the_exponent_is_not_given_where_it_does_not_apply(arm):
    found = cautions({"arm": arm}, WIDE)
    assert found[-1].startswith("arm: only 0 %")
    assert not any("trapped" in warning for warning in found)


def test_five_percent_of_escapes_are_enough():
    def warned(radius):
        region = {"kind": "ball", "centre": [0, 0], "radius": radius}
        return bool(cautions({"SGD": SGD}, WIDE | {"region": region}, n_paths=200))

    assert not warned(0.1)
    assert warned(0.5)


EXPLODING = {
    "surface": {"expression": "x**8 - y**2"},
    "escape": {"start": [10, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 1e9}, "t_max": 1},
    "lr": 0.1,
}


def test_failed_paths_are_told_and_what_to_try():
    found = cautions({"SGD": SGD}, **EXPLODING)
    (warning,) = [warning for warning in found if "failed" in warning]
    assert warning.startswith("SGD: 20 of 20 paths failed (their state became NaN or infinite, or")
    assert "smaller dt or lr" in warning


def test_a_step_that_does_not_resolve_the_perturbation_is_told():
    """ρ‖H‖dt / √(v·dt) = 0.1·2·0.01 / (√(η/B)·σ·√dt) with η/B = 1e-4, σ = 0.5, dt = 0.01 is 4, and dt/16 = 6.2e-4."""
    found = cautions({"SAM": {"kind": "sam", "rho": 0.1}}, WIDE, batch_size=100)
    assert "SAM: a step does not resolve SAM's perturbation (ρ‖H‖·dt is 4 times" in found[0]
    assert "needs a dt below 0.00063" in found[0] or "needs a dt below 0.00062" in found[0]
    assert not any("resolve" in warning for warning in cautions({"SAM": {"kind": "sam", "rho": 0.01}}, WIDE))


def test_a_step_that_does_not_resolve_the_momentum_is_told():
    """dt·‖H‖/(1-γ) = 0.01·2/0.1 is 20 % of the damping; a tenth is left at half the step."""
    heavy = {"kind": "sgd", "momentum": 0.9}
    narrow = WIDE | {"region": {"kind": "ball", "centre": [0, 0], "radius": 0.05}}
    (warning,) = cautions({"SGD": heavy}, narrow, method="euler")
    assert cautions({"SGD": heavy}, narrow) == []  # Heun's method keeps it
    assert warning.startswith("SGD: a step does not resolve the momentum, Euler changes its damping 1-γ by 20 %")
    assert "a dt below 0.005" in warning
    for arm in (heavy | {"momentum": 0.5}, heavy | {"momentum_model": "overdamped"}, heavy | {"engine": "discrete"}):
        assert cautions({"SGD": arm}, narrow, method="euler" if "engine" not in arm else "auto") == []


def test_a_step_that_does_not_resolve_the_exact_sde_is_told():
    """At lr · λ = 0.9 its rate is 2.3/lr, of the largest eigenvalue at the start."""
    options = {"surface": {"name": "quadratic", "eigenvalues": [90.0, -2.0]}}
    (warning,) = (
        each for each in cautions({"SGD": {"kind": "sgd", "sde": "exact"}}, WIDE, **options) if "resolve" in each
    )
    assert warning.startswith("SGD: a step does not resolve the exact SDE, dt is 2.3 of its shortest relaxation time")
    assert "a dt below 0.0022" in warning
    assert not any("resolve" in each for each in cautions({"SGD": {"kind": "sgd"}}, WIDE, **options))
    assert not any("resolve" in each for each in cautions({"SGD": {"kind": "sgd", "sde": "exact"}}, WIDE))


def test_a_hessian_that_is_not_finite_is_no_reason_for_a_warning():
    found = cautions({"SAM": {"kind": "sam", "rho": 0.1}}, WIDE, surface={"expression": "abs(x)**1.5 - y**2"})
    assert not any("nan" in warning for warning in found)


def test_a_step_whose_error_exceeds_the_statistical_one_is_told():
    """Euler at a large step holds SAM longer by a third on the stable side of its jump, and lets it go sooner."""
    escape = {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.5}, "t_max": 20}
    arms = {"SAM": {"kind": "sam", "rho": 0.2}}
    options = {
        "lr": 0.2,
        "batch_size": 8,
        "n_paths": 4000,
        "check_dt": True,
        "noise": {"kind": "isotropic", "sigma": 1},
    }
    found = cautions(arms, escape, method="euler", **options)
    assert any("SAM: its mean time changes by" in warning and "set run.dt below 0.1" in warning for warning in found)


def test_curves_that_cross_are_told():
    """Off the saddle little noise leaves early for certain, much noise earlier or later."""
    slab = {"kind": "slab", "centre": [0, 0], "direction": [0, 1], "half_width": 0.3}
    arms = {"noisy": SGD, "calm": {"kind": "sgd", "batch_size": 30}}
    noise = {"kind": "isotropic", "sigma": 1.0}
    escape = {"start": [0, 0.2], "region": slab, "t_max": 3}
    (warning,) = cautions(arms, escape, n_paths=500, noise=noise, surface=SADDLE | {"eigenvalues": [1, -1]})
    assert warning.startswith("calm: its survival curve crosses that of noisy")


def test_rates_that_change_are_told_in_one_sentence_for_all_arms():
    """From y = 0.2 the path has to grow by a half first."""
    slab = {"kind": "slab", "centre": [0, 0], "direction": [0, 1], "half_width": 0.3}
    escape, noise = {"start": [0, 0.2], "region": slab, "t_max": 3}, {"kind": "isotropic", "sigma": 0.5}
    arms = {"first": SGD, "second": {"kind": "sgd", "batch_size": 2}}
    (warning,) = [sentence for sentence in all_cautions(arms, escape, n_paths=200, noise=noise) if "rate" in sentence]
    for arm in arms:
        assert re.search(rf"{arm} \([\d.]+ % of the escapes in the first [\d.]+ % of the time inside\)", warning)
    assert warning.endswith(
        "no constant rate; `rate` and `rate_ratio` are averages to t_max that do not extrapolate, "
        "read rmst and rmst_ratio"
    )


def test_an_interrupted_run_says_so_first():
    experiment = Experiment(
        Setting(
            check_config(
                {
                    "surface": SADDLE,
                    "noise": {"kind": "none"},
                    "optimizer": {"lr": 0.01},
                    "arms": {"SGD": SGD, "SAM": {"kind": "sam", "rho": 0.1}},
                    "escape": WIDE,
                    "run": {"n_paths": 5, "engine": "torchsde"},
                }
            )
        )
    )

    def interrupt(arm, progress):
        raise KeyboardInterrupt

    experiment.execute(interrupt)
    assert experiment.cautions(None)[:2] == [
        "SGD: interrupted on the way, so its paths that are still inside are censored there",
        "SAM: interrupted before it began",
    ]
