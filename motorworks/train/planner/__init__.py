"""What a training run would take on machines that are not here: formulas with sources, each checked where it can be."""
