"""The parts of the `evaluate` task: which items, how a service is asked, what the record says."""
