"""Image quality transfer: thick slices to thin ones, with maps of where not to believe them."""
