"""How fast it is: the served ensembles beside other ways to serve the same model."""
