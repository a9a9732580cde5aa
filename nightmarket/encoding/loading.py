"""Load an encoder of either kind; arguments override the settings in its folder."""

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.folder import kept_numbers
from nightmarket.encoding.models import resolve_model
from nightmarket.encoding.static import StaticEncoder, is_static

AnyEncoder = Encoder | StaticEncoder


def load_encoder(
    model: str,
    precision: str = "auto",
    *,
    document_prompt: str | None = None,
    query_prompt: str | None = None,
    dim: int | None = None,
) -> AnyEncoder:
    """A transformer or a static embedding, by folder, hub id or the packaged MiniLM's name.

    document_prompt, query_prompt  text before each document or query; None: what the folder says
    dim                            first numbers of a vector that are kept; None: what the folder says, mostly all

    Raises InputError for a model that cannot be loaded, and for more numbers than its vectors have.
    """
    encoder = StaticEncoder.load(model) if is_static(resolve_model(model)) else Encoder.load(model, precision)
    if document_prompt is not None:
        encoder.prompt = document_prompt
    if query_prompt is not None:
        encoder.query_prompt = query_prompt
    if dim is not None:
        if not 0 < dim <= encoder.width:
            raise InputError(f"vectors of '{model}' have {encoder.width} numbers, so {dim} cannot be kept; lower dim")
        encoder.cut = kept_numbers(dim, encoder.width)
    return encoder
