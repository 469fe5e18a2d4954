"""Reads, decodes and caches images."""
