"""Weights in, vehicle bundle out: export, quantise, parity, latency budget, sign."""
