"""From a declared plan and training rows to a fitted transform."""
