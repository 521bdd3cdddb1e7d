"""How a package comes in: upload sessions, the URLs its files are sent to, and the state of each upload."""
