"""Engines: weights behind the OpenAI API."""
