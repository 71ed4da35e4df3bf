"""What is measured: the server under test, its statistics, and the machine that it runs on."""
