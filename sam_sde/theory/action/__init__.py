"""The most likely way out of a region, and what it says of the escape time."""

from sam_sde.theory.action.exponent import escape_exponent
from sam_sde.theory.action.field import Field
from sam_sde.theory.action.least import LeastAction, least_action, least_action_of, require_action

__all__ = ["Field", "LeastAction", "escape_exponent", "least_action", "least_action_of", "require_action"]
