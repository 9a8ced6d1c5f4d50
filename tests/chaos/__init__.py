"""What strangers and operators do to a running receiver, for as long as one likes: `make chaos`."""
