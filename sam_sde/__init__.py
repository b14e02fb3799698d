"""Escape times of SGD and sharpness-aware minimization from saddle points, as stochastic differential equations.

The names are those of the file beside this one that ends in .pyi; each is imported when it is first used, so that what
needs no torch does not wait for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
