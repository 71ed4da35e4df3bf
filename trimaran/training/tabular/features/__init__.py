"""Features: a declared plan and training rows become a fitted transform."""
