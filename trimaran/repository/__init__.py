"""The model repository on disk: configurations, tensors, manifests, versions, live releases."""
