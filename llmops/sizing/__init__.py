"""Sizing at the desk: models by name or file, tables of rows, start-up logs. The arithmetic is `compiler.sizing`."""
