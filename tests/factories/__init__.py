"""Makes runs, studies and sweeps for tests, and reads datavol's files."""
