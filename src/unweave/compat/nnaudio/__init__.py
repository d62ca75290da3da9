"""nnAudio's layers by their own names."""
