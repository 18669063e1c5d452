"""Score images that are not part of a data set with a detector that was trained on it."""

from medgan.inference.batch import Options, score_path

__all__ = ["score_path", "Options"]
