"""The shipped latency data set, one parquet file a platform."""
