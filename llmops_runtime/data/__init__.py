"""Rows: reading, checking, profiling and transforming them."""
