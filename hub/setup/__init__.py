"""`hub setup`: the wizard that takes a bare board to a first command that is done, a step a file."""
