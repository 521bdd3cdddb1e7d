"""What runs on this machine: training and optimization, in a process or a container."""
