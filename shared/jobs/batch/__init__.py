"""Batch prediction: a job is objects below batch/{job}/, and exactly one answer comes out of it for each input."""
