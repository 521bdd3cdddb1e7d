"""What answers and progress look like to people: one module per group of verbs. The only user of rich."""
