"""The entry kit of functions: HTTP, what they work with, work after the answer. Only functions import it."""
