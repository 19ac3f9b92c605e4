"""The worker: from a record to rows, results and answers about its health."""
