"""Lower precision: how an artifact gets it, and the gate that it must pass."""
