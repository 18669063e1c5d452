"""Image quality: paired metrics, perceptual distance, Fréchet distance."""
