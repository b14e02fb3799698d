"""Drift and diffusion of SAM and its variants against their definitions, by differentiation of the whole formula."""

import pytest
import torch
from torch.func import grad, jvp, vmap

import sam_sde as ss
from sam_sde.surfaces import quadratic

LR, BATCH, RHO = 0.01, 4, 0.15


def loss(w):
    return w[0] ** 2 / 2 - w[1] ** 2 + w[0] * w[1] ** 2 / 4 + w[2] ** 4 / 8 + torch.sin(w[0] * w[2])


def twist(g):
    """A perturbation whose derivative is not symmetric."""
    return RHO * torch.stack([g[0] * g[1], torch.sin(g[2]) - g[0], g[1] ** 2])


SURFACE = ss.LossSurface(loss, 3)
COVARIANCE = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64)
CONSTANT, FOLLOWING = ss.ConstantNoise(COVARIANCE), ss.HessianNoise(SURFACE)
POINTS = torch.tensor([[0.4, -0.7, 0.3], [-1.1, 0.2, 0.8], [0.05, 0.9, -1.3]], dtype=torch.float64)
DIRECTIONS = torch.tensor([[1.0, 2.0, -1.0], [0.3, -0.4, 0.5], [-1.0, 0.0, 0.7]], dtype=torch.float64)


def scaled(g):
    return RHO * g / torch.linalg.vector_norm(g)


# The perturbation of each kind as a function of one full gradient.
KINDS = {"SAM": scaled, "USAM": lambda g: RHO * g, "DNSAM": scaled, "custom": twist}


def dynamics_of(kind, noise=CONSTANT, surface=SURFACE, **options):
    options = {"lr": LR, "batch_size": BATCH, **options}
    if kind == "custom":
        return ss.PerturbedSGD(surface, noise, perturbation=twist, **options)
    return getattr(ss, kind)(surface, noise, rho=RHO, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_drift_is_minus_the_gradient_at_the_perturbed_weights(kind):
    def gradient(w):
        return grad(loss)(w + KINDS[kind](grad(loss)(w)))

    torch.testing.assert_close(dynamics_of(kind).f(0.0, POINTS), -vmap(gradient)(POINTS))


@pytest.mark.parametrize("kind", KINDS)
def test_total_drift_is_minus_the_gradient_of_the_perturbed_loss(kind):
    def perturbed_loss(w):
        return loss(w + KINDS[kind](grad(loss)(w)))

    torch.testing.assert_close(dynamics_of(kind, drift="total").f(0.0, POINTS), -vmap(grad(perturbed_loss))(POINTS))


@pytest.mark.parametrize("kind", KINDS)
def test_expansion_is_the_first_order_of_the_drift_in_the_perturbation(kind):
    def to_first_order(w):
        g = grad(loss)(w)
        return g + jvp(grad(loss), (w,), (KINDS[kind](g),))[1]

    torch.testing.assert_close(dynamics_of(kind, drift="expansion").f(0.0, POINTS), -vmap(to_first_order)(POINTS))


@pytest.mark.parametrize(
    ("kind", "penalty"),
    [
        ("USAM", lambda g: RHO / 2 * (g * g).sum()),
        ("SAM", lambda g: RHO * torch.linalg.vector_norm(g)),
        ("DNSAM", lambda g: RHO * torch.linalg.vector_norm(g)),
    ],
)
def test_expansion_is_minus_the_gradient_of_a_penalized_loss(kind, penalty):
    # ℓ + (ρ/2)‖∇ℓ‖² for the unnormalized perturbation, ℓ + ρ‖∇ℓ‖ for the normalized one.
    def penalized(w):
        return loss(w) + penalty(grad(loss)(w))

    torch.testing.assert_close(dynamics_of(kind, drift="expansion").f(0.0, POINTS), -vmap(grad(penalized))(POINTS))


@pytest.mark.parametrize("noise", [CONSTANT, FOLLOWING])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_the_full_ascent_is_that_of_the_perturbed_weights(kind, noise):
    dynamics = dynamics_of(kind, noise)
    perturbed = POINTS + vmap(lambda w: KINDS[kind](grad(loss)(w)))(POINTS)
    expected = (LR / BATCH) ** 0.5 * torch.einsum("pij,pj->pi", noise.factor(perturbed), DIRECTIONS)
    torch.testing.assert_close(dynamics.g_prod(0.0, POINTS, DIRECTIONS), expected)


def closed_perturbation(kind, w, ascent):
    """p of the minibatch's gradient v, to be differentiated: the norms that it divides by do not see the noise."""
    g = grad(loss)(w)
    if kind == "SAM":
        spread = torch.trace(COVARIANCE) / BATCH
        return lambda v: RHO * v / torch.sqrt((v * v).sum() + spread)
    if kind == "DNSAM":
        return lambda v: RHO * v / torch.linalg.vector_norm(g)
    return KINDS[kind]


@pytest.mark.parametrize("ascent", ["same", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_a_minibatch_ascent_is_the_derivative_of_its_gradient(kind, ascent):
    # d/dε of ∇ℓ(w + p(∇ℓ(w) + εξ)) + εξ', with ξ' = ξ or another one.
    dynamics = dynamics_of(kind, ascent=ascent)
    torch.manual_seed(0)
    z = torch.randn(len(POINTS), dynamics.channels, dtype=torch.float64)
    descent_z, ascent_z = (z, z) if ascent == "same" else (z[:, :3], z[:, 3:])
    root = CONSTANT.factor(POINTS)[0]

    def noise(w, descending, ascending):
        perturb, g = closed_perturbation(kind, w, ascent), grad(loss)(w)

        def minibatch_gradient(epsilon):
            return grad(loss)(w + perturb(g + epsilon * ascending)) + epsilon * descending

        zero = torch.zeros((), dtype=torch.float64)
        return jvp(minibatch_gradient, (zero,), (torch.ones_like(zero),))[1]

    expected = torch.stack([noise(w, root @ d, root @ a) for w, d, a in zip(POINTS, descent_z, ascent_z, strict=True)])
    torch.testing.assert_close(dynamics.g_prod(0.0, POINTS, z), (LR / BATCH) ** 0.5 * expected)


@pytest.mark.parametrize("noise", [CONSTANT, FOLLOWING])
@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_transposed_product_is_the_adjoint(kind, ascent, noise):
    # ⟨g z, d⟩ = ⟨z, gᵀd⟩ for all z and d.
    if kind == "custom" and noise is FOLLOWING:
        ascent = "full" if ascent == "same" else ascent  # the same batch is refused
    dynamics = dynamics_of(kind, noise, ascent=ascent)
    torch.manual_seed(1)
    z = torch.randn(len(POINTS), dynamics.channels, dtype=torch.float64)
    forward = (dynamics.g_prod(0.0, POINTS, z) * DIRECTIONS).sum(1)
    backward = (z * dynamics.g_transpose_prod(0.0, POINTS, DIRECTIONS)).sum(1)
    torch.testing.assert_close(forward, backward)


def test_noise_of_sgd_is_its_own_adjoint():
    # For a symmetric root of the covariance.
    sgd = ss.SGD(SURFACE, FOLLOWING, lr=LR, batch_size=BATCH)
    torch.testing.assert_close(sgd.g_prod(0.0, POINTS, DIRECTIONS), sgd.g_transpose_prod(0.0, POINTS, DIRECTIONS))


def test_the_same_batch_is_refused_where_its_drift_is_not_known():
    with pytest.raises(ValueError, match="constant noise"):
        dynamics_of("custom", FOLLOWING, ascent="same")


@pytest.mark.parametrize("drift", ["total", "expansion"])
@pytest.mark.parametrize("ascent", ["same", "independent"])
def test_derivatives_through_the_perturbation_are_refused_for_a_minibatch(ascent, drift):
    with pytest.raises(ValueError, match="full"):
        dynamics_of("SAM", ascent=ascent, drift=drift)


@pytest.mark.parametrize("noise", [CONSTANT, FOLLOWING])
@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
@pytest.mark.parametrize("kind", ["SAM", "USAM", "DNSAM"])
def test_drift_and_noise_together_are_drift_and_noise(kind, ascent, noise):
    dynamics = dynamics_of(kind, noise, ascent=ascent)
    torch.manual_seed(2)
    z = torch.randn(len(POINTS), dynamics.channels, dtype=torch.float64)
    drift, diffused = dynamics.f_and_g_prod(0.0, POINTS, z)
    torch.testing.assert_close(drift, dynamics.f(0.0, POINTS))
    torch.testing.assert_close(diffused, dynamics.g_prod(0.0, POINTS, z))


@pytest.mark.parametrize("drift", ["stop_gradient", "total", "expansion"])
def test_a_custom_perturbation_reproduces_sam(drift):
    custom = ss.PerturbedSGD(SURFACE, FOLLOWING, lr=LR, batch_size=BATCH, perturbation=scaled, drift=drift)
    sam = dynamics_of("SAM", FOLLOWING, drift=drift)
    torch.testing.assert_close(custom.f(0.0, POINTS), sam.f(0.0, POINTS))
    torch.testing.assert_close(custom.g_prod(0.0, POINTS, DIRECTIONS), sam.g_prod(0.0, POINTS, DIRECTIONS))


@pytest.mark.parametrize(
    ("ascent", "drift"),
    [
        ("full", "stop_gradient"),
        ("same", "stop_gradient"),
        ("independent", "stop_gradient"),
        ("full", "total"),
        ("full", "expansion"),
    ],
)
def test_sam_does_not_move_the_weights_where_the_gradient_is_zero(ascent, drift):
    saddle = quadratic([1.0, -2.0])
    sam = ss.SAM(saddle, ss.IsotropicNoise(0.5), lr=LR, batch_size=BATCH, rho=RHO, ascent=ascent, drift=drift)
    w = torch.zeros(1, 2, dtype=torch.float64)
    assert (sam.f(0.0, w) == 0).all()
    z = torch.ones(1, sam.channels, dtype=torch.float64)
    assert torch.isfinite(sam.g_prod(0.0, w, z)).all()
    assert torch.isfinite(sam.g_transpose_prod(0.0, w, torch.ones_like(w))).all()


@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
def test_sam_without_noise_is_finite_where_the_gradient_is_zero(ascent):
    sam = ss.SAM(quadratic([1.0, -2.0]), ss.NoNoise(), lr=LR, rho=RHO, ascent=ascent)
    w = torch.zeros(1, 2)
    drift, noise = sam.f_and_g_prod(0.0, w, torch.ones(1, sam.channels))
    assert (drift == 0).all()
    assert (noise == 0).all()


@pytest.mark.parametrize("kind", ["SAM", "USAM", "DNSAM"])
@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
def test_a_radius_of_zero_is_sgd(kind, ascent):
    dynamics = getattr(ss, kind)(SURFACE, FOLLOWING, lr=LR, batch_size=BATCH, rho=0.0, ascent=ascent)
    sgd = ss.SGD(SURFACE, FOLLOWING, lr=LR, batch_size=BATCH)
    z = torch.cat([DIRECTIONS, DIRECTIONS], dim=1)[:, : dynamics.channels]
    torch.testing.assert_close(dynamics.f(0.0, POINTS), sgd.f(0.0, POINTS))
    torch.testing.assert_close(dynamics.g_prod(0.0, POINTS, z), sgd.g_prod(0.0, POINTS, z[:, :3]))


def test_dnsam_has_no_value_at_a_critical_point():
    with pytest.raises(ValueError, match="DNSAM"):
        ss.escape_times(
            ss.DNSAM(quadratic([1.0, -2.0]), ss.IsotropicNoise(0.5), lr=LR, rho=RHO),
            start=[0.0, 0.0],
            region=ss.Ball([0.0, 0.0], 1.0),
            t_max=1.0,
            n_paths=1,
            device="cpu",
        )
