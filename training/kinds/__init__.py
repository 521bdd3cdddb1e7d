"""The kinds of data: how each becomes a network's input, is augmented, and is described in amaas.json.

A kind is fitted on the training split, or taken from a package as that declares it; then it returns the very tensors
that the service computes from the same data. For texts, sound and tables it is the service's own code that does so.
"""
