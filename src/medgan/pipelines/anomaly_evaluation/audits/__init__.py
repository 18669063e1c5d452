"""Audit each detector and the data set."""
