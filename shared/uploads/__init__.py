"""The way in: what may be sent, where it is sent to, and what became of it."""
