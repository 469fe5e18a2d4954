"""Augments images, on the host and on the device."""
