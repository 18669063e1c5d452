"""medgan: generative models and anomaly detectors for medical images, evaluated honestly."""

__version__ = "0.1.0"
