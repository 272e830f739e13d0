"""The car side: verified bundle, real-time loop, deadline and fallback, shadow mode, triggers, log, over-the-air client. Never torch."""
