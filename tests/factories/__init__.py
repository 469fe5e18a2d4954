"""Makes what tests need: run folders, studies as frames, sweeps, and readers of what datavol writes."""
