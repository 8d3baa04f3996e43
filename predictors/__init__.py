"""Latency predictors, one file each; every one is an entry point of ``nnlqp_nas.predictors``."""
