"""Declared experiments: run them, record the results, and publish docs/results.md."""
