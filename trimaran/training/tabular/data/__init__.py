"""Tables: where they come from, what their schema allows, whether they conform, how they split."""
