"""The field's vocabulary: orders, fills, instruments, sessions and the errors every room raises."""
