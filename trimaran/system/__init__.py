"""What the operating system gives: errors, files, locks, processes, ports, packages, the cache."""
