"""Pages of the documentation that are made of a real run."""
