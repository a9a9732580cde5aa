"""What a kind of made-up shop is like."""

from dataclasses import dataclass, replace

LEVELS = (-0.45, -0.15, 0.15, 0.45)
"""Customers' levels of price: logarithm of the price they like best over the usual price of the kind."""
SIZE_CLASSES = {"clothing": ("S", "M", "L", "XL"), "shoes": ("37", "39", "41", "43")}
LOOKS = 5
"""Looks (print, cut, colouring) of a product. No word names them; the product's vector shows them."""


@dataclass(frozen=True)
class ShopProfile:
    """Everything that a made-up shop is made from, besides the seed.

    Shares are probabilities. What happens in a week is told in `visits`.
    """

    kinds: tuple[str, ...] = ("fashion",)
    """sections of words.yaml"""
    styles: str = "fashion"
    languages: tuple[str, ...] = ("en",)
    texts: bool = True
    vectors: bool = True
    num_customers: int = 8000
    num_products: int = 6000
    weeks: int = 56
    season_weeks: int = 13
    new_share: float = 0.6
    """of the products of a season"""
    sizes: bool = True
    quality_spread: float = 0.35
    """standard deviation of the logarithm; also how unevenly products are looked at"""
    conversion_spread: float = 0.3
    """of the logarithm of what a look at the product is worth"""
    fresh_weeks: float = 6.0
    """a product's freshness halves about as fast"""
    promoted: float = 0.03
    """of the products, each week"""

    taste: float = 1.0
    """0: nobody prefers anything"""
    styles_liked: tuple[int, int] = (2, 3)
    kinds_liked: tuple[int, int] = (2, 4)
    style_rest: float = 0.2
    """of the preference for styles, spread over all of them"""
    kind_rest: float = 0.2
    look_evenness: float = 5.0
    """of the Dirichlet distribution of preferences for looks"""
    view_taste: float = 0.8
    """exponent of the taste in what one looks at: looks are freer than purchases"""
    stay_weeks: float = 0.0
    """how long a customer stays on average; 0: most stay"""

    sessions: float = 13.0
    """a customer and year, on average"""
    misled: float = 0.25
    """views of what is popular or promoted, whoever looks"""
    searching: float = 0.2
    """sessions that begin with a query"""
    cart: float = 0.35
    """sessions that put something into the cart"""
    buy: float = 0.45
    """carts that are bought"""
    impulse: float = 0.1
    """carts that hold what is popular or promoted, whoever buys"""
    again: float = 0.1
    """of one's purchases of a product already bought, those that take place"""

    wish_ends: float = 0.12
    """a week; a customer looks for one kind at a time"""
    wish_fulfilled: float = 0.4
    """wishes that end with a week in which something was bought"""
    follows: float = 0.4
    """sessions that look for what is wished"""
    shortlist: float = 0.05
    """carts that hold one of the three products which the customer chose when the wish began"""
    rests: float = 0.0
    """wishes after whose end the customer looks for nothing"""
    wakes: float = 0.0
    """a week, of those who look for nothing"""
    resting_sessions: float = 1.0
    """sessions of those who look for nothing, over those of others"""

    accessories: float = 0.0
    """of the products; each fits the models of one maker and kind"""
    accessory_rate: float = 0.0
    """bought on average in the week of the main purchase; half of it a week later, and so on"""
    returns: float = 0.06
    """of purchases that fit; a wrong size or a style that one does not like comes back more often"""
    guests: float = 0.0
    """sessions without a customer id"""
    bots: int = 0
    bot_views: int = 0
    """on each day on which a bot comes"""
    recorded: tuple[str, ...] = ()
    """kinds of events that the tables hold; none: all"""

    def scaled(self, customers: float = 1.0, products: float = 1.0) -> "ShopProfile":
        """The same kind of shop, larger or smaller."""
        return replace(
            self,
            num_customers=max(1, round(self.num_customers * customers)),
            num_products=max(1, round(self.num_products * products)),
        )


FASHION = ShopProfile()
PROFILES = {
    "fashion": FASHION,
    "fashion_zh": replace(FASHION, languages=("zh", "en"), num_products=8000),
    "electronics": ShopProfile(
        kinds=("electronics",),
        styles="electronics",
        num_products=2400,
        sizes=False,
        vectors=False,
        season_weeks=26,
        new_share=0.5,
        fresh_weeks=12.0,
        sessions=34.0,
        cart=0.1,
        buy=0.35,
        impulse=0.05,
        again=0.05,
        wish_ends=0.03,
        wish_fulfilled=1.0,
        follows=0.85,
        shortlist=0.5,
        rests=1.0,
        wakes=0.06,
        resting_sessions=0.2,
        accessories=0.4,
        accessory_rate=0.45,
        returns=0.04,
    ),
    "marketplace": ShopProfile(
        kinds=("fashion", "electronics", "home"),
        num_products=40_000,
        vectors=False,
        languages=("en", "zh"),
        season_weeks=28,
        new_share=0.4,
        sizes=False,
        quality_spread=1.6,
        fresh_weeks=10.0,
        misled=0.3,
        impulse=0.2,
        again=0.4,
        guests=0.35,
        bots=6,
        bot_views=3000,
    ),
    "random": replace(
        FASHION,
        taste=0.0,
        sizes=False,
        quality_spread=0.0,
        fresh_weeks=1e9,
        promoted=0.0,
        misled=1.0,
        impulse=1.0,
        shortlist=0.0,
        again=1.0,
    ),
    "one_product": replace(FASHION, num_products=1, sizes=False, new_share=0.0),
    "newcomers": replace(FASHION, stay_weeks=1.0, sessions=3.0),
    "no_texts": replace(FASHION, texts=False),
    "purchases": replace(FASHION, recorded=("purchase",), sizes=False, sessions=30.0, cart=0.6, buy=0.8),
    "books": replace(
        FASHION,
        num_products=8000,
        sizes=False,
        vectors=False,
        season_weeks=28,
        new_share=0.3,
        quality_spread=1.2,
        fresh_weeks=1e9,
        impulse=0.2,
        follows=0.1,
        again=0.02,
    ),
    "passing": replace(
        FASHION,
        recorded=("purchase",),
        sizes=False,
        vectors=False,
        num_products=1500,
        stay_weeks=5.0,
        sessions=60.0,
        cart=0.6,
        buy=0.8,
        quality_spread=1.2,
        conversion_spread=0.0,
        fresh_weeks=1.5,
        impulse=0.5,
        again=0.0,
    ),
}
