"""The networks: those that are built in, torchvision's, and the user's own."""
