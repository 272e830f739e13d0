"""Who holds the wheel: observation to plan."""
