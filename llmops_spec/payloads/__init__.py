"""What the compiler writes and the runtime reads: one payload model per task, and the files around it."""
