"""Work that outlives the call that started it: batch prediction and training."""
