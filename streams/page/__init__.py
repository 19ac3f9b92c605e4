"""`twin page`: what people open. Reads the topics through `streams.client` and the audit root; changes neither."""
