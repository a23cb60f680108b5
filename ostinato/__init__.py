"""Sequence models from one recipe: name the inputs and outputs, get a model that is trained, measured and explained."""
