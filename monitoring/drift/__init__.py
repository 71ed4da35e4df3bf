"""How far what is served is from what is expected: from a reference, or from the recent past."""
