"""What a model package is: its manifest, and what happens before and after the model."""
