"""Score images with every detector, compare the detectors, and write the report."""
