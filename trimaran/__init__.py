"""The deck: the nouns that every package shares, and the command."""
