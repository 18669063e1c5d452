"""MLflow: runs are tracked and read through its client, which is imported when first used."""
