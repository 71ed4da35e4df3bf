"""What measured numbers mean: pure functions on arrays."""
