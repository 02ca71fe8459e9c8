"""The metrics, one per file: what one answer is worth. Called by `evaluate`; their facts are in the catalogue."""
