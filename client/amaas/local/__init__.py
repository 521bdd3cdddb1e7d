"""What runs on this machine: training, also in a container, and optimization."""
