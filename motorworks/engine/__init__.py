"""Where work runs: `map` and `actors` in this process, in local processes, or on a Ray cluster."""
