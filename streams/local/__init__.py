"""A Kafka of this machine's own, and worker processes beside it."""
