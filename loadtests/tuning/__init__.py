"""A search for the instance counts, threads and batches that serve a model best."""
