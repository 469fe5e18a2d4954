"""Chooses arithmetic and threads, and handles memory and errors of devices."""
