"""Other people's worlds as ours, and our policies as their agents; needs the `[worlds]` extra or the worlds' own installation."""
