"""Score each detector and evaluate it."""
