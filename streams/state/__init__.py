"""What a worker remembers: partitions' states, checkpoints, snapshot files, and the files staged with them."""
