"""The training job: data in, a model package out. It has an environment of its own; nothing here is deployed."""
