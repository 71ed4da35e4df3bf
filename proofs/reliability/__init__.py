"""What is broken on purpose while a real server answers, and what its clients notice."""
