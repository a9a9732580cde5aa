"""Writers of promotion texts, one interface: `Writer.write(briefs, num)`."""

from nightmarket.copywriting.writers.prompt import Brief, Message, Writer
from nightmarket.copywriting.writers.template import TemplateWriter

__all__ = ["Brief", "Message", "TemplateWriter", "Writer"]
