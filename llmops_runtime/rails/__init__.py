"""The rails, one validator per file, and what runs them in order. Called by the gateway."""
