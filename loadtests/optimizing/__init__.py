"""Every format and precision of a model, measured in turn, and the fastest that is right."""
