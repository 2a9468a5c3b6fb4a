"""The execution session: one process works a day's parent orders, and what it watches."""
