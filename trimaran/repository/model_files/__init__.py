"""Model files, recognised by their content and without opening anything that could run code."""
