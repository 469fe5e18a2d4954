"""Reads what somebody types: arguments, keys, sweeps, and what to say of mistakes."""
