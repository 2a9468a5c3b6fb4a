"""The simulated gateway, seen by an unmodified ib_async over TCP."""
