"""What runs need to know of each kind of data: tables, texts, photographs and choices."""
