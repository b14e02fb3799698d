"""Escape times from the equation that they satisfy, in one and two dimensions."""

from sam_sde.theory.exact.times import ExactEscape, exact_escape_times, require_solvable

__all__ = ["ExactEscape", "exact_escape_times", "require_solvable"]
