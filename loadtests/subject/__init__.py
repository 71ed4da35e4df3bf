"""What is measured: the server under test, its statistics, and its machine."""
