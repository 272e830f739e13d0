"""A policy in, rollouts out: the town, its roads, traffic and camera."""
