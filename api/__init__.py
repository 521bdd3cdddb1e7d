"""The API's description, OpenAPI 3.1: made of the functions' routes and the types that they take, when they are built.

Nothing of it is imported by a function; the registry function is built with the finished document.
"""
