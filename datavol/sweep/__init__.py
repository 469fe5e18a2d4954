"""Starts many runs, each in a fresh process or SLURM job."""
