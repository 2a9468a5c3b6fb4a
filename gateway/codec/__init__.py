"""The wire: frames, field tables of requests and messages, versions 157 to 178."""
