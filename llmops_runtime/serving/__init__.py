"""What engine and gateway share: the OpenAI API's shapes, errors, counters, and the life of a standing process."""
