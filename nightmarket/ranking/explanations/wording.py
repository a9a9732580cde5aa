"""The sentences of the reasons, one table per language. A further language is one more entry of LANGUAGES.

Fields: {times} {baskets} {customers} {weeks} are counts with their noun, {age} {gap} spans of days, {share} is a
percentage, {more} a plain number, {it} {kind} are names from the catalogue.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Sentences by key, nouns as (one, many) and the least days that are told in weeks."""

    sentences: dict[str, str]
    nouns: dict[str, tuple[str, str]]
    weeks_from: int = 14

    def say(self, key: str, **fields: object) -> str:
        """The sentence with its fields; a name from the catalogue is put in as it is."""
        return self.sentences[key].format(**fields)

    def count(self, noun: str, number: float) -> str:
        """A number with its noun."""
        whole = round(number)
        one, many = self.nouns[noun]
        return one if whole == 1 else many.format(n=f"{whole:,}")

    def span(self, days: float) -> str:
        """Days as people say them, rounded to whole days or weeks."""
        return self.count("weeks", days / 7) if days >= self.weeks_from else self.count("days", max(days, 1.0))


EN = Language(
    {
        "repeat_often": "bought {times}, about every {gap}, last {age} ago",
        "repeat": "bought {times}, last {age} ago",
        "repeat_once": "bought once, {age} ago",
        "text": "of the same description as one that you bought {times}",
        "line": "same kind and maker as {it}, which you bought {times}",
        "line_twin": "same name and maker as one that you bought {times}",
        "maker": "by the maker of {it}, which you bought {times}",
        "kind_often": "you buy {kind} about every {gap}, last {age} ago",
        "kind": "you bought {kind} in {baskets}, last {age} ago",
        "goes_with": "goes with {it}, bought together {times}",
        "popular": "bought by {customers} in the last 4 weeks",
        "popular_rising": "bought by {customers} in the last 4 weeks, {more} more than in the 4 weeks before",
        "loyal": "{share} of its {customers} came back for it",
        "shop": "bought by {customers} in your usual shop in the last 4 weeks",
        "price_kind": "{share} below what you usually pay for {kind}",
        "price_now": "{share} below its usual price in the last 4 weeks",
        "discount": "reduced by {share} on average in the last 4 weeks",
        "plan_mailer": "in the mailer of the coming weeks",
        "plan_display": "on display in the coming weeks",
        "mailer": "in the mailer of the last 4 weeks",
        "display": "on display in the last 4 weeks",
        "new_like": "new in the last {weeks}, like {it} that you bought {times}",
        "new": "new: first sold in the last {weeks}",
        "launch_like": "new, like {it} that you bought {times}",
        "launch_maker": "new, by the maker of {it} that you bought {times}",
        "launch_kind": "new in {kind}, which you bought in {baskets}",
        "launch": "new: nobody has bought it yet",
        "fallback": "a guess from all that you bought",
        "this_kind": "this kind",
    },
    {
        "times": ("once", "{n} times"),
        "baskets": ("1 basket", "{n} baskets"),
        "customers": ("1 customer", "{n} customers"),
        "days": ("1 day", "{n} days"),
        "weeks": ("1 week", "{n} weeks"),
    },
)
ZH = Language(
    {
        "repeat_often": "您买过{times}，约每{gap}一次，上次是{age}前",
        "repeat": "您买过{times}，上次是{age}前",
        "repeat_once": "您{age}前买过 1 次",
        "text": "与您买过{times}的一款商品描述相同",
        "line": "与您买过{times}的“{it}”同类同厂",
        "line_twin": "与您买过{times}的一款商品同名同厂",
        "maker": "与您买过{times}的“{it}”同一厂家",
        "kind_often": "您约每{gap}买一次“{kind}”，上次是{age}前",
        "kind": "您在{baskets}中买过“{kind}”，上次是{age}前",
        "goes_with": "与“{it}”搭配，一起买过{times}",
        "popular": "近 4 周有{customers}买过",
        "popular_rising": "近 4 周有{customers}买过，比此前 4 周多 {more} 位",
        "loyal": "{customers}买过，其中 {share} 再次购买",
        "shop": "近 4 周您常去的门店有{customers}买过",
        "price_kind": "比您平时买“{kind}”的价格低 {share}",
        "price_now": "近 4 周比平时便宜 {share}",
        "discount": "近 4 周平均优惠 {share}",
        "plan_mailer": "将登上未来几周的促销册",
        "plan_display": "未来几周将有堆头陈列",
        "mailer": "登上近 4 周的促销册",
        "display": "近 4 周有堆头陈列",
        "new_like": "近{weeks}的新品，与您买过{times}的“{it}”相似",
        "new": "近{weeks}的新品",
        "launch_like": "新品，与您买过{times}的“{it}”相似",
        "launch_maker": "新品，与您买过{times}的“{it}”同一厂家",
        "launch_kind": "“{kind}”新品，您在{baskets}中买过这一类",
        "launch": "全新上架，还没有人买过",
        "fallback": "根据您的全部购买记录推测",
        "this_kind": "这类商品",
    },
    {
        "times": (" 1 次", " {n} 次"),
        "baskets": (" 1 次购物", " {n} 次购物"),
        "customers": (" 1 位顾客", " {n} 位顾客"),
        "days": (" 1 天", " {n} 天"),
        "weeks": (" 1 周", " {n} 周"),
    },
)
LANGUAGES = {"en": EN, "zh": ZH}
