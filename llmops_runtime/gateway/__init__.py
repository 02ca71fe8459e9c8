"""The public face of a service: its prompt, rails and limits before an engine that speaks the OpenAI API."""
