"""The whole way in one command: from trained weights to labels for photographs."""
