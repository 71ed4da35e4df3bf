"""Gives a candidate its part of the live traffic, and takes it back."""
