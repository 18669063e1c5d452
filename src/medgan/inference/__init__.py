"""Scores and heat maps of images that a data set does not have, by a detector that was trained on
it.
"""

from medgan.inference.batch import Options, score_path

__all__ = ["score_path", "Options"]
