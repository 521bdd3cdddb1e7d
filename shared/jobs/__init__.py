"""Work that goes on after the answer: batch prediction and training."""
