"""Where messages come from: random ones as columns, and lists of recipients and texts, read strictly."""
