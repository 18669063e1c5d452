"""Train classifiers with and without synthetic images, and compare them."""
