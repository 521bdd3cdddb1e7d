"""What the container of a training job runs; and its checkpoints, kept in the bucket as it goes on."""
