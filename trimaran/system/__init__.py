"""The edge to the operating system: errors, files, locks, processes, ports, downloads."""
