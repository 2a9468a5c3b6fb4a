"""What a model is told about a symbol on a session, computed from that session and earlier only."""
