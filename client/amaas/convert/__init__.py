"""What takes more to make a package of than the client installs: in a process of its own, `python -m amaas.convert`.

amaas/api/conversion.py starts it, and nothing imports it. What it needs are the client's extras.
"""
