"""Stop, flatten and resume: the kill switch and the way back."""
