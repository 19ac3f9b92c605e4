"""What people start beside the workers: feed, watch, doctor, demo, correct, notify."""
