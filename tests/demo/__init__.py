"""The demo room: each part by itself, and the whole through a real guard."""
