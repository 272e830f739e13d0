"""Whole chains as plain functions: start with `tiny`."""
