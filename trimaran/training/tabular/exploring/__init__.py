"""The page that shows what a table holds before anything is trained on it."""
