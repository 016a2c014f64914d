"""What goes over sockets, and every option of a socket."""
