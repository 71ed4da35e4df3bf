"""Removing a person from what is kept next to a repository, and proving that it was done."""
