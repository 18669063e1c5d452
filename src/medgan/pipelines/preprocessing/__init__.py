"""Make the image store at the training size, and the audited splits."""
