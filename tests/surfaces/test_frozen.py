"""A module as a function leaves torch's choices and the module as they were."""

import torch
from torch import nn

from sam_sde.surfaces.frozen import MATH_KERNELS, FrozenModule


def test_the_choice_of_kernels_returns_with_the_last_exit():
    assert torch.backends.cuda.flash_sdp_enabled()
    MATH_KERNELS.__enter__()
    MATH_KERNELS.__enter__()  # as another thread does
    MATH_KERNELS.__exit__(None, None, None)
    assert not torch.backends.cuda.flash_sdp_enabled()
    MATH_KERNELS.__exit__(None, None, None)
    assert torch.backends.cuda.flash_sdp_enabled()


def test_constants_follow_the_weights_and_the_module_stays():
    module = nn.BatchNorm1d(2).eval()
    module.register_buffer("phase", torch.ones(2, dtype=torch.complex64))
    frozen, w = FrozenModule(module), torch.zeros(1, dtype=torch.float64)
    x = torch.randn(3, 2, dtype=torch.float64)
    torch.testing.assert_close(frozen(w, {"weight": 2 * w.new_ones(2)}, x), 2 * x / (1 + 1e-5) ** 0.5)
    thawed = frozen.thawed(w)
    assert (thawed.phase.dtype, thawed.running_mean.dtype) == (torch.complex128, torch.float64)
    assert thawed.num_batches_tracked.dtype == torch.int64
    assert module.weight.dtype == torch.float32
