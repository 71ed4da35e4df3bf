"""`trimaran check` and the real server before the same mutated repositories."""
