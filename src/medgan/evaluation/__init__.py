"""Scores, thresholds, intervals, and the metrics made of them."""
