"""Trained models to export, one module per family."""
