"""From trained weights to the file that ships: GGUF, then 4 bit."""
