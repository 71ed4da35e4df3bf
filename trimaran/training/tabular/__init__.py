"""Classifiers of tabular records: from a table of customers to a trained model."""
