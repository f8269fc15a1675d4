"""Denoising deep-learning reconstruction (dDLR): the network of the published validation."""
