"""Declares the schema of `conf/`: every key, its type, rule and mark.

Defaults live in the YAML files under `conf/` alone. Each key carries its rule in words (shown when a value breaks
it), a remedy, and a mark that says whether it enters the run's hash: `hashed=True` for what changes the science,
`hashed=False` for what only changes where, how fast or how visibly the same science is done.
"""
