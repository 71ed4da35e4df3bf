"""The Python-backend model that turns encoded photographs into tensors."""
