"""Compares a candidate's answers with those of what is live, request by request."""
