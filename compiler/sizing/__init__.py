"""Memory, throughput and cost arithmetic: pure functions over facts of a model, an engine and a GPU.

Called by checks and by `llmops size`. Quantities inside are bytes and named so; GiB appear only at the edges.
"""
