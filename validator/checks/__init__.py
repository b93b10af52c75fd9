"""The checks of the README's checklist: one package a category, and what they share."""
