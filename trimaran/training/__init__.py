"""What is trained and judged; what it leaves is a run's directory."""
