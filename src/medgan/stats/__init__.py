"""Statistics: bootstrap, classification metrics, thresholds, differences, pooling."""
