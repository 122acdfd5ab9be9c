"""Training of the shipped model; needs the `train` extra and is never imported on the device."""
