"""What needs an NVIDIA GPU, proved on a machine that has one and reaches no network."""
