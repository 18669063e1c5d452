"""Scores, thresholds, intervals, and the figures made of them."""
