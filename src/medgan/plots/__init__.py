"""Figures, without I/O."""
