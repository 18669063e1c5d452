"""Evaluate detectors, classifiers and synthetic images."""
