"""Analyses records of runs: answers, tables, figures and reports, without torch."""
