"""Registers datavol's launchers in the namespace that Hydra searches."""
