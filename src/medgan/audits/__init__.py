"""Audits of a data set and of its detectors: cohort, subgroups, shortcuts, robustness."""
