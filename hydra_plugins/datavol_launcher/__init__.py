"""Hydra finds launchers only in its own namespace; datavol's is registered from here."""
