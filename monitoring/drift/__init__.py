"""How far what is served is from what training saw."""
