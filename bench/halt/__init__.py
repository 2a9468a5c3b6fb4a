"""How fast trading stops."""
