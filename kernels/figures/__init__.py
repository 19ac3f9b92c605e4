"""What makes figures of sums and periods: OEE, throughput, bottlenecks, and how sure they are."""
