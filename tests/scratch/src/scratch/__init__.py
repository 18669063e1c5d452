"""A Kedro project of two tiny pipelines with medgan's hooks, context and commands."""
