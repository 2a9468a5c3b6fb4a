"""From the champion's scores to a checked plan of parent orders."""
