"""The experiments: published numbers beside ours, one command each, results as JSON."""
