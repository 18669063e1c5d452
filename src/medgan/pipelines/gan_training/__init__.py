"""Train every model, each in a namespace of its own."""
