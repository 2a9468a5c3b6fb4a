"""One process at a time: API client ids and the session that may send orders."""
