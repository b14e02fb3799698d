"""A torch module as a function: some of its parameters are given at each call, all else is as it was."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping

import torch


class FrozenModule:
    """A copy of a module; its parameters and buffers are constants that follow the weights to their dtype and device.

    All operations have derivatives of every order: attention runs by the math kernels, without torch's fast path, whose
    kernels have none. Threads may call it at once.
    """

    def __init__(self, module: torch.nn.Module):
        self.module = _without_fast_path(copy.deepcopy(module).cpu())
        tensors = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        self.constants = {name: tensor.detach() for name, tensor in tensors.items()}
        self._own = _CopyOfThread(self.module)

    def __call__(self, w: torch.Tensor, given: Mapping[str, torch.Tensor], *inputs: torch.Tensor):
        """The module's output, with the parameters `given` by name and all others like w."""
        tensors = {name: like(t, w) for name, t in self.constants.items() if name not in given} | given
        with MATH_KERNELS:
            return torch.func.functional_call(self._own.module, tensors, inputs)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_own"}

    def __setstate__(self, state):
        vars(self).update(state, _own=_CopyOfThread(state["module"]))

    def thawed(self, w: torch.Tensor) -> torch.nn.Module:
        """A copy of the module itself, in the dtype and on the device of w."""
        module = copy.deepcopy(self.module)
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = like(tensor.data, w)
        return module


class _CopyOfThread(threading.local):
    """A module for each thread: while torch calls one with other tensors, these are its parameters for all to see."""

    def __init__(self, module: torch.nn.Module):
        self.module = copy.deepcopy(module)


def like(tensor: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """On the device of w, and in its precision where it has one: whole numbers and truth values stay what they are."""
    if tensor.is_complex():
        return tensor.to(w.device, w.dtype.to_complex())
    return tensor.to(w.device, w.dtype if tensor.is_floating_point() else tensor.dtype)


def _without_fast_path(module: torch.nn.Module) -> torch.nn.Module:
    """In evaluation these layers take a path that cannot be differentiated; trained without dropout they do the same.

    Their own layers, such as those for dropout, stay in the mode that they have.
    """
    for layer in module.modules():
        if isinstance(layer, torch.nn.TransformerEncoderLayer | torch.nn.MultiheadAttention) and not layer.training:
            layer.training = True
            if isinstance(layer, torch.nn.MultiheadAttention):
                layer.dropout = 0.0
    return module


class _MathKernels:
    """Within it torch computes attention from products and a softmax; the choice before returns with the last exit.

    The choice is one of the process, and threads may run losses at once: so entries are counted.
    """

    def __init__(self):
        self._lock, self._entries, self._choice = threading.Lock(), 0, None

    def __enter__(self):
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with self._lock:
            if not self._entries:
                self._choice = sdpa_kernel(SDPBackend.MATH)
                self._choice.__enter__()
            self._entries += 1

    def __exit__(self, *_):
        with self._lock:
            self._entries -= 1
            if not self._entries:
                self._choice.__exit__(None, None, None)


MATH_KERNELS = _MathKernels()
