"""The six pipelines. Their nodes are pure functions; the catalog owns every file."""
