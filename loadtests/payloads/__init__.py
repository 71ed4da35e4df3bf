"""Payloads: real photographs and records, drawn with a seed, or a user's rows."""
