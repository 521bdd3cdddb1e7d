"""Why no package was made: one sentence, of what happened and what to do."""

from __future__ import annotations


class NotConverted(Exception):
    """The message is for the user."""
