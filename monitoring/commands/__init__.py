"""The commands `trimaran monitor …` and `trimaran feedback`."""
