"""Which products a line of text asks for: `lactose free milk for toddlers` -> products, exact, filtered by attributes.

`lexical` looks for the words (BM25), `index` puts words and vectors of an encoder together and applies the filters,
`quality` says how good either is, on queries whose names are held out of the texts.

For a judge of an encoder elsewhere there is one function:

    search_quality(vectors_of_texts (T, D), vectors_of_queries (Q, D), relevant (indptr (Q+1,), items),
                   text_id=(I,), popularity=(I,)) -> {"ndcg@10": (Q,), "recall@10": ..., "mrr@10": ..., ... at 20}

Its per-query arrays go into `nightmarket.evaluation.bootstrap` and `paired`. `held_out` renders the texts without the
names of a level of the category path and makes the queries and `relevant` to go with them.
"""

from nightmarket.retrieval.finding.quality import search_quality

__all__ = ["search_quality"]
