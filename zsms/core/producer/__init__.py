"""A producer's decisions: its window of unconfirmed batches, and when its messages are due."""
