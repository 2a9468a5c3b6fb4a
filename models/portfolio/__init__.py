"""From signals to weights, from weights to whole shares, from shares to trades."""
