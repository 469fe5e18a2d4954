"""Computes the tables behind figures and reports."""
