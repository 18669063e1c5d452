"""Measurements of speed and quality. `make bench` runs `python -m benchmarks`; the scripts are run alone."""
