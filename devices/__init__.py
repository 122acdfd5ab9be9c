"""What is in the house, and how to make it act. Knows nothing of language or of models."""
