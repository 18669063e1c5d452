"""Audits: cohort, subgroups, shortcuts, robustness, privacy and release of synthetic images."""
