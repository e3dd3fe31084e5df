"""The CEL library without its command line.

`cel/__init__.py` imports a shell for interactive use, and with it prompt_toolkit: a third of a
second that every start of a worker would pay for nothing. An empty module takes its place.
"""

import sys
from types import ModuleType

_SHELL = "cel.cli"

sys.modules.setdefault(_SHELL, ModuleType(_SHELL))

import cel  # noqa: E402  after its shell has been replaced

sys.modules.pop(_SHELL)  # whoever wants the shell itself can still import it

__all__ = ["cel"]
