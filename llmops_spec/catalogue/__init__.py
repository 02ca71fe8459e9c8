"""What compiler and runtime both must know of metrics and validators."""
