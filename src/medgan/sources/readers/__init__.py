"""Readers of image files: from a path to pixels and metadata, or the reason for refusal."""
