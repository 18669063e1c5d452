"""Compare the detectors and write the report."""
