"""The execution session, against the length of the trading day."""
