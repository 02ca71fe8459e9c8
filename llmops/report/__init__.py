"""The report: what a run was for, what it found and why it ended as it did, on one HTML page."""
