"""Classifiers of photographs: a folder of them, fitting, and the runs that this leaves."""
