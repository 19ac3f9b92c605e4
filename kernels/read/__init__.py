"""What reads bytes: records, messages and columns to numbers."""
