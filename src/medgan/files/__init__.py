"""Files: atomic writes, digests, parallel reading."""
