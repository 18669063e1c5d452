"""Scores images with every detector, compares them on the test split, and writes the report."""
