"""The command line: arguments in, one call, an exit code out.

0: done; 1: an arm failed or a shard is missing, the others are done; 2: bad input, or nowhere to write to;
130: interrupted.

What a command needs is imported inside of it: help, and figures drawn from tables, do without torch.
"""

import sys

# In the order in which help lists the commands.
# isort: off
from sam_sde.cli import escapes, algorithms, theory, reproduction, folders  # noqa: F401

# isort: on
from sam_sde.cli.options import app
from sam_sde.interrupts import end_as_on_ctrl_c

__all__ = ["app", "main"]


def main() -> None:
    end_as_on_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal without Greek letters shows a ? for ρ
    app()
