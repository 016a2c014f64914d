"""The roles: thin loops of sockets around one core object each."""
