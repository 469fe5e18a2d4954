"""Shows commands' results: one-line errors, exit codes, numbers as text."""
