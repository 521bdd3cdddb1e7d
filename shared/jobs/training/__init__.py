"""Training jobs: requested over HTTP, run by AWS Batch, tracked as objects under training/{job}/."""
