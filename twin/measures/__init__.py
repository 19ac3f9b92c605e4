"""What is measured on a line beside its parts: energy, water, weights, temperatures. Exact, replayable, revisable.

The fold says of each measure event what the line was doing (`kernels.fold.measured`). What follows from it is made in
families: `protocol` says what one is, `families` which there are.
"""
