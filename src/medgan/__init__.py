"""medgan: GANs and anomaly detectors for medical images, and their evaluation."""

__version__ = "0.1.0"
