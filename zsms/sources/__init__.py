"""Where real messages come from: lists of recipients and texts, read strictly."""
