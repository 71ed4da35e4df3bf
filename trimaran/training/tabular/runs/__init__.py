"""Trainings that leave a directory: single runs, cross-validations and searches, and the report."""
