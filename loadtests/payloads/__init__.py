"""What is sent: real photographs and records, drawn with a seed, or a user's own rows."""
