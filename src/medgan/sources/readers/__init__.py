"""Readers of image files: a path in, pixels and what the file says of them out, or the reason why
there are none.
"""
