"""Classifiers of texts in two classes: data, networks, fitting, and the runs that they leave."""
