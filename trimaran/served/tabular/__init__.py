"""Records of numbers and categories: how they are read, transformed and scored."""
