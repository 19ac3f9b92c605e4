"""Kafka, Faust, HTTP and the command line. Thin; the only asynchronous code."""
