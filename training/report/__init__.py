"""What a run reports: the model card, quality with intervals, pictures, and what it took."""
