"""Images from their sources to training batches: manifest, splits, store, transforms, loading."""
