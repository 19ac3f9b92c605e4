"""Kafka: connections, topics, partitions, and records from its batches. Faust's transport stays in here."""
