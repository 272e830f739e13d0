"""Recordings on disk: readers for the field's formats, store, split."""
