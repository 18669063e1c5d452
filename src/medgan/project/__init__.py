"""The Kedro wiring: configuration loader, typed parameters, context, hooks, stored artifacts."""
