"""Batch prediction: a job is objects under batch/{job}/, and each of its inputs gets exactly one answer."""
