"""Many runs: a fresh process each, one after the other."""
