"""What a file of rules may say: one rule per entry, named by its verb."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

MOST_PLACES = 200
"""As long as a list can be."""
MOST_DAYS = 3_650
LEVELS = ("department", "category", "type")
"""Of a category path: the first, the second and the last name."""
ABOVE = ">"
"""Between the names of a category path."""


def _several(value: Any) -> Any:
    """A single value as a list of one."""
    return value if isinstance(value, list | tuple | dict) or value is None else (value,)


def plain(name: str) -> str:
    """A name as names are compared: without case, with single blanks."""
    return " ".join(name.casefold().split())


def path_of(category: str) -> tuple[str, ...]:
    """The names of a category path, as they are compared."""
    return tuple(filter(None, (plain(name) for name in category.split(ABOVE))))


Names = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1, max_length=10_000)]
Places = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=1, le=MOST_PLACES)], ...],
    BeforeValidator(_several),
    Field(min_length=1, max_length=MOST_PLACES),
]


class RulePart(BaseModel):
    """A part of a rule; keys that there are not fail by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_switch(cls, value: Any) -> Any:
        """Pydantic takes true for 1."""
        if isinstance(value, bool):
            raise ValueError(f"expected text or a number; found {str(value).lower()}: put a word in quotes")
        return value


class NumberRange(RulePart):
    """Numbers from `least` to `most`, both included; a product without the number is not meant."""

    least: float | None = Field(None, description="the smallest number that is meant")
    most: float | None = Field(None, description="the largest number that is meant")

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.least is None and self.most is None:
            raise ValueError("least: say least, most, or both")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least: {self.least:g} is above most, {self.most:g}; swap them")
        return self


class Selection(RulePart):
    """Products: those for which every key holds; of several values of a key any."""

    id: Names | None = Field(None, description="product_id")
    group: Names | None = Field(None, description="group_id: all sizes and colours of these")
    brand: Names | None = Field(None, description="brands")
    category: Names | None = Field(
        None, description="category paths from the top, as `Food > Wine`, with all below; a name alone: at any level"
    )
    attribute: dict[str, Any] | None = Field(
        None, min_length=1, description="column of the products: a value, several, or {least: number, most: number}"
    )

    @field_validator("attribute")
    @classmethod
    def _as_compared(cls, wanted: dict[str, Any] | None) -> dict[str, Any] | None:
        """Values of attributes are compared as text: 42 is "42"."""
        return {name: _attribute(name, value) for name, value in wanted.items()} if wanted else wanted

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.named():
            raise ValueError(f"it names no product; say one of {', '.join(type(self).model_fields)}")
        return self

    def named(self) -> dict[str, Any]:
        """The keys that are given."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


def _attribute(name: str, value: Any) -> NumberRange | tuple[str, ...]:
    if isinstance(value, dict):
        try:
            return NumberRange.model_validate(value)
        except ValidationError as error:
            detail = error.errors()[0]
            inner = ".".join(map(str, detail["loc"]))
            words = str(detail.get("ctx", {}).get("error", "say least and most, numbers"))
            raise ValueError(f"{name}{'.' if inner else ''}{inner}: {words.removeprefix('least: ')}") from None
    several = _several(value)
    if not several or not all(type(part) in (int, float, str) for part in several):
        raise ValueError(f"{name}: expected a value, a list of them, or {{least: number, most: number}}")
    return tuple(part if isinstance(part, str) else f"{part:.12g}" for part in several)


class RuleAudience(RulePart):
    """Whose lists: all that is given must hold; of several values any."""

    market: Names | None = Field(None, description="the customer's market, as in customers.market")
    channel: Names | None = Field(None, description="where the list is shown, as a live site names it")

    def named(self) -> dict[str, frozenset[str]]:
        """The keys that are given, values as they are compared."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: frozenset(map(plain, values)) for name, values in given.items() if values}


class ShopRule(RulePart):
    """What every rule may say besides its verb."""

    name: str = Field("", max_length=200, description="what people call it")
    audience: RuleAudience = Field(RuleAudience(), description="market, channel; without: everybody")
    valid_from: date | None = Field(None, description="first day; without: now")
    valid_until: date | None = Field(None, description="last day; without: until it is taken out of the file")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_from > self.valid_until:
            raise ValueError(f"valid_until: {self.valid_until} lies before valid_from, {self.valid_from}; swap them")
        return self

    @property
    def about(self) -> Selection | None:
        """The products that it speaks of; None: all."""
        return getattr(self, "products", None)

    def holds_on(self, day: date) -> bool:
        """Whether it is valid on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class Hide(ShopRule):
    """These products are in no list."""

    hide: Selection = Field(description="products that are in no list")

    @property
    def about(self) -> Selection | None:
        """What is hidden."""
        return self.hide


class Bury(ShopRule):
    """These products come last: where nothing else is left."""

    bury: Selection = Field(description="products that come after all others")

    @property
    def about(self) -> Selection | None:
        """What is buried."""
        return self.bury


class Pin(ShopRule):
    """These places hold one of these products each."""

    pin: Selection = Field(
        description="products to choose from: ids in the order in which they are written, else the customer's best"
    )
    place: Places = Field((1,), description="places that hold one of them each, 1 the first")

    @property
    def about(self) -> Selection | None:
        """What is pinned."""
        return self.pin

    @model_validator(mode="after")
    def _has_products_for_its_places(self) -> Self:
        if len({*self.place}) < len(self.place):
            raise ValueError("place: a place stands there twice; keep one")
        ids = self.pin.id
        if ids is not None and len({*ids}) < len(self.place):
            raise ValueError(f"place: {len(self.place)} places for {len({*ids})} products; take places away")
        return self


class Cap(ShopRule):
    """A list holds at most so many of a brand, a category, or these products together."""

    cap: int = Field(strict=True, ge=1, le=MOST_PLACES, description="products in a list, at most")
    per: Literal["brand", "maker", "department", "category", "type", "all"] = Field(
        "all", description="of each brand, maker, or level of the category path; all: of the products together"
    )
    products: Selection | None = Field(None, description="products that count; without: all")

    @model_validator(mode="after")
    def _counts_something(self) -> Self:
        if self.per == "all" and self.products is None:
            raise ValueError("per: say what is counted: per brand, maker, department, category or type, or products")
        return self


class NotAgain(ShopRule):
    """Nothing that the customer bought within its cycle, or so many days."""

    not_again: Literal["cycle"] | int = Field(
        description="days since it was bought; cycle: as long as nearly nobody needs it again"
    )
    products: Selection | None = Field(None, description="products that it holds for; without: all")

    @field_validator("not_again", mode="plain")
    @classmethod
    def _days(cls, value: Any) -> Any:
        if value == "cycle" or (type(value) is int and 1 <= value <= MOST_DAYS):
            return value
        raise ValueError(f"must be cycle, or a whole number of days from 1 to {MOST_DAYS:,}")


class LeastAge(ShopRule):
    """These products only for customers from this age on."""

    least_age: int = Field(strict=True, ge=1, le=120, description="years; from 18 on not to a customer of unknown age")
    products: Selection = Field(description="products that it holds for")


class SoldIn(ShopRule):
    """These products only in these markets."""

    sold_in: Names = Field(description="markets, as in customers.market; not to a customer of unknown market")
    products: Selection = Field(description="products that it holds for")


class LeastStock(ShopRule):
    """No product of which fewer are in stock; where the stock is not known it says nothing."""

    least_stock: float = Field(ge=0, description="units tonight")
    products: Selection | None = Field(None, description="products that it holds for; without: all")


class Margin(ShopRule):
    """What earns more stands higher, where price and cost are known."""

    margin: float = Field(gt=0, le=5, description="weight: how many spreads of a customer's scores one of margins is")
    products: Selection | None = Field(None, description="products that it holds for; without: all")


VERBS: dict[str, type[ShopRule]] = {
    "hide": Hide,
    "bury": Bury,
    "pin": Pin,
    "cap": Cap,
    "not_again": NotAgain,
    "least_age": LeastAge,
    "sold_in": SoldIn,
    "least_stock": LeastStock,
    "margin": Margin,
}
"""Key that names a rule → what it may say."""
WISHES = (Bury, Pin, Margin)
"""What holds for those alone who are known to be in a rule's audience; all else holds for those too who may be."""


def verbs_of(content: dict[Any, Any]) -> list[str]:
    """The verbs of an entry; a rule has exactly one."""
    return [verb for verb in VERBS if verb in content]
