"""Hostile input for everything that reads bytes: `make fuzz`, and a short share in `make test`."""
