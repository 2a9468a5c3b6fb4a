"""Where bars come from, behind one protocol: the broker's history, live bars, files, the sample."""
