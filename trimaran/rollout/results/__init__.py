"""What runs and live models say of each row, in a database where people look."""
