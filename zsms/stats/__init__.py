"""Figures: what processes say of themselves, how it is kept and summed, and what it means. Pure, as the core is."""
