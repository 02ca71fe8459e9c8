"""New projects from a user's rows: what `llmops init` recognises, splits and writes."""
