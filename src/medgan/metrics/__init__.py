"""Image quality: metrics of pairs, perceptual distance, distances and overlap of distributions,
copies.
"""
