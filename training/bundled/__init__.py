"""How the models in layers/models are made."""
