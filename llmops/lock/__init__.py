"""`llmops lock`: the only part of the command, `fetch` steps aside, that asks the network what remote things are."""
