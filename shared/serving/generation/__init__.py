"""Text by a decoder, token by token: which token is next, what text it is, and when to end."""
