"""Lightning callbacks: metrics, checkpoints, predictions, signals, progress."""
