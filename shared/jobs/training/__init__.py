"""Training jobs: asked for over HTTP, run by AWS Batch, told of in objects below training/{job}/."""
