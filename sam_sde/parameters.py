"""Types of parameters, with their ranges: what a constructor's signature says once for Python, files and lists.

A class whose parameters have these types, or numbers, words and lists of them, can be named in a configuration; a loss
surface and a noise among its parameters are those of the configuration.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Le

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]

# Tensors and arrays are welcome for all three.
Vector = Sequence[float]
Matrix = Sequence[Vector]
# One of the weights: in a file also one number for all coordinates, or the name of a point that the surface knows.
Point = Annotated[Sequence[float], "a point"]

# From a tensor of times to a tensor of its shape, elementwise; in a file one of the schedules.
TimeFunction = Annotated[Callable, "of time"]
