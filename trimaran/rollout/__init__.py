"""What is live, and how that changes without a failed request."""
