"""The command line, against the import of its own framework."""
