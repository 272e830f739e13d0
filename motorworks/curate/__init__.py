"""Choose clips: filter, deduplicate, balance, label, mine. Clips in, clips out."""
