"""A package's answers on other processors than this one. Not in the container's image: it needs a checkout."""
