"""Made-up shops whose truth is known: tables as a retailer would bring them, and who will buy what how probably.

How data are made, in the order of the modules: `profiles` says what a kind of shop is like, `assortment` what it sells,
`clientele` who comes, `choice` how a product is chosen in a week, `visits` what people do, `tables` writes it down, and
`truth` turns the same choices into probabilities for a customer and a moment.
"""
