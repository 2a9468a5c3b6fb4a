"""One API client's conversation: handshake, requests, subscriptions."""
