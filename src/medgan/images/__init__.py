"""Images from their files to training batches: reading, manifest, splits, the uint8 store,
transforms, loading, phantoms.
"""
