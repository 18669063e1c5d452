"""Losses: small pure functions of tensors. Weights are the caller's."""
