"""The golden frames, and what Python's tests read them with."""
