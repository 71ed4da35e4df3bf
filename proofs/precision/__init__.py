"""What fewer bits cost and keep."""
