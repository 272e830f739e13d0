"""Vehicles: limits, and the body's response to controls; the same code in simulation and car."""
