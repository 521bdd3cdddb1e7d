"""From what people send to what models take, as the package's `preprocess` declares: images, texts, sounds, tables.

Each module decodes one kind of input and makes the model's tensors of a list of them, with the batch as first axis.
"""
