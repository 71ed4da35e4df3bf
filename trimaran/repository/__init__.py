"""The nouns: configurations, tensors, manifests, versions, and what is live, on disk."""
