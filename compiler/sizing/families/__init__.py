"""Readers of `config.json` by family of models. Called by `compiler.sizing.architecture` alone."""
