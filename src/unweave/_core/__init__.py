"""Array plumbing that knows nothing of audio."""
