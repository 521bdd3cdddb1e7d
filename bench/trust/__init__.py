"""The proofs that run long: one command each, and the page of their results."""
