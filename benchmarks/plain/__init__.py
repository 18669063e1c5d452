"""What tutorials write: the other side of a comparison where no package does the work."""
