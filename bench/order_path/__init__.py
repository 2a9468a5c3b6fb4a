"""The order path: from the decision to the socket, and back to work after a crash."""
