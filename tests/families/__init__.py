"""Families that are made up: each is one module here and one entry of a plant file, a measure of that quantity."""
