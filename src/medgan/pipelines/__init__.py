"""The six pipelines. Nodes do no I/O: the catalog owns every file."""
