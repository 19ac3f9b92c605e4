"""Faults as test input: a plan drawn from a seed, real workers on a real Kafka, and a comparison by digest."""
