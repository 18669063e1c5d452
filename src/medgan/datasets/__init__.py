"""Kedro data sets. Saves are atomic."""
