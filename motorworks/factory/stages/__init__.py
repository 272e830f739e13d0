"""One file per stage: a frozen config and `run(config, inputs, out)`."""
