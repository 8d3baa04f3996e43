"""One file a schema; a released file never changes."""
