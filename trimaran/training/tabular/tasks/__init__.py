"""What is predicted: an outcome, one of several classes, or a number, and all that follows."""
