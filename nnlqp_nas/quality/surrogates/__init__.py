"""Shipped surrogates: weights as safetensors, each with its card."""
