"""From exports as the platforms give them to checked tables."""
