"""What a person sees of a command: errors in one line, exit codes, numbers as text."""
