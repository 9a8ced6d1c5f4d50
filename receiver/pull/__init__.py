"""The API that consumers of `pull:` destinations lease messages from, and acknowledge them to."""
