"""Metrics of generated images: of pairs, of feature distributions, and of copies."""
