"""Batches in, weights out: losses, loop, PPO, polish, checkpoints."""
