"""Starts many runs, each in a fresh process or SLURM job; called, sweeps (`datavol.api.sweep`)."""

import sys

from datavol import CallableModule

sys.modules[__name__].__class__ = CallableModule
