"""The `local` target: child processes on this machine."""
