"""The Python-backend model that turns logits into labels and probabilities."""
