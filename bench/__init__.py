"""How fast the rooms are, each figure beside what it is measured against in the same run: `python -m bench [subject …]`."""
