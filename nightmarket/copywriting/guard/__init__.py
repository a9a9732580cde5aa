"""Whether a promotion text follows from its facts: rules that every text passes before anybody is sent it.

The rules know no writer: a template's text and a language model's are read alike.
"""
