"""Peers: other ways to serve the two jobs from the same model files.

Each framework runs in a virtual environment of its own, as its documentation recommends.
"""
