"""Architectures. Depth follows the size of the image: one class serves 32 to 256 pixels."""
