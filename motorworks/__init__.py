"""Motorworks: the open model factory for machines that move."""

__version__ = "0.1.0"
