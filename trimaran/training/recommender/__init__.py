"""Recommenders: from who chose what, and when, to the items that each user may choose next."""
