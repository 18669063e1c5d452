"""Use trained models: score and classify new images, generate sets, export models."""

from medgan.inference.batch import Options, score_path

__all__ = ["score_path", "Options"]
