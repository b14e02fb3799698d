"""The networks of `benchmark_networks` by JAX: lax.scan over the steps of a run, jax.vmap over the runs, jax.jit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

EPSILON = 1e-12


def perceptron(p, x):
    return jnp.tanh(x @ p[0].T + p[1]) @ p[2].T + p[3]


def convolutional(p, x):
    y = jnp.tanh(lax.conv(x, p[0], (1, 1), "VALID") + p[1][:, None, None])
    pooled = y.reshape(*y.shape[:2], y.shape[2] // 2, 2, y.shape[3] // 2, 2).mean((3, 5))
    return pooled.reshape(len(x), -1) @ p[2].T + p[3]


def autoencoder(p, x):
    return x @ p[0].T @ p[1].T


def cross_entropy(y, target):
    return -jnp.take_along_axis(jax.nn.log_softmax(y), target[:, None], axis=1).mean()


def squares(y, target):
    return ((y - target) ** 2).mean()


LOSSES = {
    "perceptron": (perceptron, cross_entropy),
    "convolutional": (convolutional, cross_entropy),
    "autoencoder": (autoencoder, squares),
}


def trainer(name: str, data, parameters, options: dict | None, settings: dict) -> Callable[[int, int], Callable]:
    """Of runs and steps, a function that trains them; options: of SAM, None for SGD, as in `benchmark_networks`."""
    predict, loss = LOSSES[name]
    inputs, targets = (jnp.asarray(np.asarray(each)) for each in data)
    start = [jnp.asarray(np.asarray(each)) for each in parameters]
    lr, momentum, rho, batch_size = (settings[key] for key in ("lr", "momentum", "rho", "batch_size"))
    options = options or {}
    size = options.get("micro_batch", batch_size)

    def gradient(p, x, y):
        return jax.grad(lambda p: loss(predict(p, x), y))(p)

    def sam_gradient(p, x, y):
        ascent = gradient(p, inputs, targets) if options["ascent"] == "full" else gradient(p, x, y)
        norm = jnp.sqrt(sum((g**2).sum() for g in ascent))
        return gradient([w + rho / (norm + EPSILON) * g for w, g in zip(p, ascent, strict=True)], x, y)

    of_part = sam_gradient if options else gradient

    def step(carry, key):
        p, velocity = carry
        index = jax.random.randint(key, (batch_size // size, size), 0, len(inputs))
        parts = jax.vmap(lambda part: of_part(p, inputs[part], targets[part]))(index)
        velocity = [momentum * v + g.mean(0) for v, g in zip(velocity, parts, strict=True)]
        return ([w - lr * v for w, v in zip(p, velocity, strict=True)], velocity), None

    def of(runs: int, steps: int) -> Callable:
        def train(key):
            begin = start, [jnp.zeros_like(w) for w in start]
            return lax.scan(step, begin, jax.random.split(key, steps))[0][0]

        compiled = jax.jit(jax.vmap(train))
        keys = jax.random.split(jax.random.key(0), runs)
        return lambda: jax.block_until_ready(compiled(keys))

    return of
