"""The domain: deterministic and synchronous. No Kafka, no asyncio, no wall clock."""
