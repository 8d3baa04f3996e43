"""Hydra configuration: one group an abstraction."""
