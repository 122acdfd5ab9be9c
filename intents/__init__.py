"""Words to meaning: pure code and no I/O. Knows devices, because to understand is to name a thing that exists."""
