"""Peers: other servers for the two jobs, from the same model files.

Each framework runs in its own virtual environment, as its documentation recommends.
"""
