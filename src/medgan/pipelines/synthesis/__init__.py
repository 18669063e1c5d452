"""Generate images of each class, and measure their quality and privacy."""
