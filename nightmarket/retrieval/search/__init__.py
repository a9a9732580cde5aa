"""Which products a line of text asks for: `lactose free milk for toddlers` -> products, exact, filtered by attributes.

`lexical` looks for the words (BM25), `index` puts words and vectors of an encoder together, `filters` says which
products may be found at all, `held_out` makes questions with known answers, `quality` says how good a search is.

For a judge of an encoder elsewhere there is one function:

    search_quality(vectors_of_texts (T, D), vectors_of_queries (Q, D), relevant (indptr (Q+1,), items (N,)),
                   text_id=(I,), popularity=(I,)) -> {"ndcg@10": (Q,), "recall@10": ..., "mrr@10": ..., ... at 20}

Its per-query arrays go into `bootstrap` and `paired` of `nightmarket.evaluation.intervals`. The texts, queries and
`relevant` to go with it come from

    held_out(products, level, dropped, allowed) -> Questions(texts, text_id, queries, relevant, .chosen_on)
"""
