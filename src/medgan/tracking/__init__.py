"""MLflow, at the edge: through its client, with explicit run ids, imported when the first run
starts.
"""
