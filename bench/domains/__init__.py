"""Several shops, one protocol: which recommender ranks what people buy next, and how far from the truth it is.

`data` brings the shops; `question` says what a recommender is given at a cut and what its lists must find;
`collaborative`, `content` and `als` are the recommenders beside ours, `roster` names them; `measure` asks and times
them, `results` is what comes out.
"""
