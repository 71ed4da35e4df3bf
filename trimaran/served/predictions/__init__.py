"""What a served model predicted is kept, until somebody tells what was true."""
