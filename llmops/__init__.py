"""The `llmops` command: it plans, executes and provisions what the compiler made of a spec."""

__version__ = "0.1.0"
