"""The training loop: its state, its steps, its checkpoints, and the processes that share it."""
