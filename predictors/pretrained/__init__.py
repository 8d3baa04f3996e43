"""Weights of pretrained predictors and their cards."""
