"""Trains a classifier on real and on synthetic images, and compares."""
