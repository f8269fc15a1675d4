"""From k-space to images: regularised SENSE, compressed sensing and an unrolled network."""
