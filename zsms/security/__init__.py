"""Who gets in: key files, and the ZAP handler that asks them."""
