"""Training of the engine's networks: data, augmentation, the resumable loop."""
