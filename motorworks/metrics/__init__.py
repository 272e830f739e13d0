"""Rollout in, scores out: collisions, drivable area, progress, comfort, rules, open-loop error."""
