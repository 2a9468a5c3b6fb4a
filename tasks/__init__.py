"""Touch the outside world: broker, files, training, tracking, settings."""
