"""What folds: admission, order, the line's state, and the rows that became certain."""
