"""What carriers count and allow. Pure: nothing here opens a file or a socket."""
