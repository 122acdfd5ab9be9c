"""Sentences with the lines that they mean, sampled from a grammar of our own: what the shipped model is made from."""
