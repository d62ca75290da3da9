"""Train the separators that ship with the package: corpus, augmentation, loop, evaluation."""
