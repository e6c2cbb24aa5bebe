"""Raw text to clean text to token ids: reading, cleaning, duplicates, statistics, the token store."""
