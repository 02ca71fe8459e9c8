"""Measurements of whole commands and of hot paths, each beside a peer in one run. `make bench` prints them."""
