"""A module that is imported in name only, until something of it is used: torch takes seconds to import."""

import importlib.util
import sys
from types import ModuleType


class _Deferred(ModuleType):
    """Becomes the module that it stands for when an attribute is asked for which it does not have."""

    def __getattr__(self, name: str):
        if name.startswith("__"):  # what the import system asks for
            raise AttributeError(name)
        self.__class__ = ModuleType
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer(name: str) -> None:
    """From here on `import name` costs nothing before the module is used; without effect where it is imported."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[name] = module
