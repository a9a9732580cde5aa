"""Texts become unit vectors: any Hugging Face encoder, each distinct text once.

What runs a model is loaded on first use, because torch takes seconds to import and a night without new texts needs none
of it.
"""
