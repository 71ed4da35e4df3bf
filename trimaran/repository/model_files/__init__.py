"""What a model file is, told by its content and without opening what could run code."""
