"""Draws images of each class and judges them."""
