# ruff: noqa: E501  (a Chinese character counts twice)
"""True texts in a free manner: sentence frames filled from the facts alone, so that each follows from them."""

import re
from dataclasses import dataclass
from datetime import date
from random import Random

from nightmarket.copywriting.facts import LIMITS, CopyFacts, CopyOffer, Form

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TEENS = {15: "fifteen", 20: "twenty", 25: "twenty-five", 30: "thirty", 35: "thirty-five", 40: "forty", 50: "fifty",
         60: "sixty", 70: "seventy", 80: "eighty", 99: "ninety-nine", 100: "one hundred"}  # fmt: skip
HAN = "〇一二三四五六七八九"
# b: the benefit as a noun ("20% off tea when you spend $40"), v: as an order ("save 20% on tea"), u: until when,
# U: the same as a sentence, c: the code as a clause, C: as a sentence, p: product, k: its kind, s: shop, x: price
EN_OFFERS = (
    "{b} {u}{c}.", "{v} {u}{c}.", "{s}: {b}{c}, {u}.", "At {s}, {v}{c}. {U}.", "{p} and more: {b} {u}{c}.",
    "We picked {p} for you. {v}{c}. {U}.", "{U}: {b}{c}.", "{v} at {s}. {C} {U}.", "Good news from {s}: {b}{c}. {U}.",
    "Running low on {k}? {v} {u}{c}.", "Thinking about {p}? {v}{c}. {U}.", "{b} at {s} {u}. {C}",
    "{p} is waiting. {v}{c} {u}.", "A little thank-you: {b}{c}. {U}.", "Time to restock: {v} {u}{c}.",
    "Hello from {s}. {v}{c}. {U}.", "Your next order could be lighter on the wallet: {b} {u}{c}.",
    "{s} has something for you: {b}{c}. {U}.", "{b}. {C} {U}.", "Try {p} and {v}{c}. {U}.", "{v}. {U}. {C}",
    "Treat yourself to {p}. {v} {u}{c}.", "This is a nice moment to try {p}: {b}{c}, {u}.", "{U}. {v}{c}.",
    "Have you tried {p}? {b}{c}. {U}.", "Now at {s}: {b} {u}{c}.", "Come by {s} and {v}{c}. {U}.",
    "For your kitchen, home and everything between: {b} {u}{c}.", "Shop {k} and {v}{c}, {u}.",
    "Fancy a change? {p} is in store. {v}{c}. {U}.", "We thought you would like this: {b}{c}. {U}.",
    "{p} usually costs {x}. {v}{c} {u}.", "{p} ({x}): {b}{c}, {u}.", "Usual price {x}. {v}{c}. {U}.",
    "From our shelves at {s}: {p}. {v}{c}. {U}.", "Stock up: {b}{c} {u}.", "There is {b} {u}{c}.",
    "Plan ahead: {v} {u}{c}. See you at {s}.", "Back to basics with {p}. {b}{c}. {U}.", "{C} {v} {u}.",
    "You like {k}, we do too. {v}{c}. {U}.", "Small prices, big smiles: {b} {u}{c}.", "Pick up {p}, {v}{c}. {U}.",
    "No rush: {b} {u}{c}.", "Put {p} on your list. {v}{c}. {U}.", "{s} says thanks: {b} {u}{c}.",
    "Weekend plans? {p} fits right in. {v}{c}. {U}.", "Let us help: {b}{c}. {U}.", "Simple: {v}{c}. {U}.",
    "Our {k} shelf is full. {v}{c} {u}.", "Cosy evenings call for {k}. {b}{c}. {U}.", "{b}{c}. {U}. Enjoy!",
)  # fmt: skip
EN_PLAIN = (
    "{p} is on our shelves at {s}.", "Have you met {p}? Find it at {s}.", "{p}, {x} at {s}.", "Find {p} for {x}.",
    "Your {k} shelf could use {p}.", "{s} suggests {p} for your next order.", "Looking for {k}? We have {p}.",
    "We think you will like {p}. It costs {x}.", "Add {p} to your basket today.", "Say hello to {p} by {brand}.",
)  # fmt: skip
ZH_OFFERS = (
    "{b}，{u}{c}。", "{u}，{b}{c}。", "{s}：{b}{c}，{u}。", "在{s}，{b}{c}，{U}。", "{p}来了！{b}，{u}{c}。",
    "为您挑选了{p}，{b}{c}。{U}。", "{U}，{b}{c}。", "{C}{b}，{u}。", "{s}好消息：{b}{c}。{U}。", "家里的{k}快用完了？{b}，{u}{c}。",
    "想试试{p}吗？{b}{c}，{U}。", "{b}{c}，{s}等您，{U}。", "{p}正在等您，{b}{c}，{u}。", "一点小心意：{b}{c}，{U}。",
    "该补货啦：{b}，{u}{c}。", "您好，{s}提醒您：{b}{c}。{U}。", "下一单更省心：{b}，{u}{c}。", "{s}为您准备：{b}{c}。{U}。",
    "{b}。{C}{U}。", "带上{p}回家，{b}{c}。{U}。", "{b}。{U}。{C}", "犒劳一下自己，选{p}，{b}{c}，{u}。", "逛逛{s}，{b}{c}，{u}。",
    "{U}。{b}{c}。", "试过{p}吗？{b}{c}。{U}。", "{s}正在进行：{b}，{u}{c}。", "来{s}选{k}，{b}{c}，{U}。",
    "好物推荐{p}：{b}{c}，{u}。", "选购{k}，{b}{c}，{u}。", "换个口味？{p}在架上。{b}{c}。{U}。", "我们猜您会喜欢：{b}{c}。{U}。",
    "{p}平时{x}，{b}{c}，{u}。", "{p}（{x}）：{b}{c}，{u}。", "日常价{x}，{b}{c}。{U}。", "【{s}】{b}{c}，{u}。",
    "囤一点：{b}{c}，{u}。", "别忘了，{b}，{u}{c}。", "提前安排：{b}，{u}{c}。{s}见。", "日子慢慢过，{p}陪着您。{b}{c}。{U}。",
    "您喜欢{k}，我们也是。{b}{c}。{U}。", "挑一份{p}，{b}{c}。{U}。", "不着急，{b}，{u}{c}。", "把{p}加入清单吧，{b}{c}，{U}。",
    "{s}感谢有您：{b}，{u}{c}。", "周末有安排吗？{p}正合适，{b}{c}，{U}。", "省心又顺手：{b}{c}。{U}。", "简单说：{b}{c}。{U}。",
    "{k}货架已上满，{b}{c}，{u}。", "暖暖的晚上，来点{k}，{b}{c}，{U}。", "{b}{c}。{U}，欢迎选购！", "亲，{b}，{u}{c}。",
    "{s}小贴士：{b}{c}，{U}。",
)  # fmt: skip
ZH_PLAIN = (
    "{p}已在{s}上架。", "认识一下{p}吧，{s}有售。", "{p}，{x}，{s}有售。", "{s}推荐{p}，{x}。", "您的{k}货架可以添上{p}。",
    "在找{k}？我们有{p}。", "猜您会喜欢{p}，售价{x}。", "把{p}加入购物车吧。", "下次下单，试试{p}。", "{brand}的{p}，{s}在架。",
)  # fmt: skip
SUBJECTS = {
    "en": ("{b}", "{s}: {b}", "{p} and {s}", "A note from {s}", "{k} at {s}", "{v}"),
    "zh": ("{b}", "{s}：{b}", "{s}给您写信", "{p}在{s}", "选{k}，来{s}", "{k}上架"),
}
Message = dict[Form, str]


@dataclass(frozen=True)
class Drawn:
    """A message, the facts it is about, and the seed of its wording: the same words can be said of other facts.

    frame  which frame it came from
    """

    facts: CopyFacts
    texts: Message
    frame: int
    wording: str


def frames(locale: str, *, offer: bool) -> tuple[str, ...]:
    """Sentence frames of a language."""
    if locale == "en":
        return EN_OFFERS if offer else EN_PLAIN
    return ZH_OFFERS if offer else ZH_PLAIN


def write(facts: CopyFacts, frame: int, wording: str, drop: str = "") -> Message:
    """The message of a frame: SMS, push or banner where it fits, else an e-mail; `drop` leaves a condition out."""
    slots = slots_of(facts, wording, drop)
    text = _tidy(frames(facts.locale, offer=facts.offer is not None)[frame].format(**slots), facts.locale)
    draw = Random(wording + "form")
    if draw.random() < 0.15:
        text = text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789%"})
    short: tuple[Form, ...] = ("push", "sms", "sms", "banner")
    fitting = [form for form in short if len(text) <= LIMITS[form]]
    if fitting and draw.random() < 0.8:
        return {draw.choice(fitting): text}
    subject = _tidy(draw.choice(SUBJECTS[facts.locale]).format(**slots), facts.locale)
    if len(subject) > LIMITS["subject"]:
        subject = f"A note from {facts.shop}" if facts.locale == "en" else f"{facts.shop}给您写信"
    return {"subject": subject.rstrip("。."), "body": text}


def slots_of(facts: CopyFacts, wording: str, drop: str = "") -> dict[str, str]:
    """Every slot of a frame in one wording."""
    draw, product, offer = Random(wording), facts.product, facts.offer
    english = facts.locale == "en"
    price = money(product.price or 0, facts, draw)
    joined = f"{product.brand} {product.name}" if english else product.brand + product.name
    whole = draw.choice((product.name, joined, joined))
    slots = {
        "p": whole,
        "k": product.category,
        "s": facts.shop,
        "x": price,
        "brand": product.brand,
        "b": whole,
        "v": whole,
    }
    if offer is None:
        return slots
    noun, order = _english_benefit(offer, facts, draw, drop) if english else _chinese_benefit(offer, facts, draw, drop)
    until, sentence = (_english_days if english else _chinese_days)(offer, draw)
    clause, own = _code(offer.code, english, draw)
    if drop == "end":
        until = sentence = ""
    if drop == "code":
        clause = own = ""
    return slots | {"b": noun, "v": order, "u": until, "U": sentence, "c": clause, "C": own}


def money(value: float, facts: CopyFacts, draw: Random) -> str:
    """An amount in one of the manners of its language."""
    whole = int(value) if value == int(value) else None
    plain = str(whole) if whole is not None else f"{value:.2f}"
    if facts.locale == "zh":
        short = plain.rstrip("0") if "." in plain else plain
        ways = [f"{short}元", f"¥{short}", f"{short}元", f"￥{plain}", f"{short}块"]
        return draw.choice([*ways, f"{chinese_number(whole)}元"] if whole and whole < 1000 else ways)
    names = {"USD": "dollars", "EUR": "euros", "GBP": "pounds", "CNY": "yuan"}
    ways = [f"{facts.symbol}{plain}"] * 3 + [f"{facts.currency} {plain}"]
    if whole is not None:
        ways += [f"{facts.symbol}{whole}.00", f"{whole} {names[facts.currency]}"]
        spelt = TEENS.get(whole) or (ONES[whole] if whole < len(ONES) else None)
        ways += [f"{spelt} {names[facts.currency]}"] if spelt and whole > 1 else []
    return draw.choice(ways)


def chinese_number(value: int) -> str:
    """A number below 1,000 in Chinese."""
    if value < 10:
        return HAN[value]
    if value < 100:
        tens = "" if value < 20 else HAN[value // 10]
        return f"{tens}十" + (HAN[value % 10] if value % 10 else "")
    rest = value % 100
    last = "" if not rest else ("零" + HAN[rest] if rest < 10 else ("一" if rest < 20 else "") + chinese_number(rest))
    return f"{HAN[value // 100]}百{last}"


def _english_benefit(offer: CopyOffer, facts: CopyFacts, draw: Random, drop: str) -> tuple[str, str]:
    scope = offer.scope
    tail = ""
    if offer.threshold is not None and drop != "threshold":
        spend = money(offer.threshold, facts, draw)
        tail = " " + draw.choice(
            ("when you spend {}", "on orders of {} or more", "from {}", "once your basket reaches {}", "on orders over {}",
             "if you spend at least {}", "with a minimum spend of {}", "on purchases of {} and up"),
        ).format(spend)  # fmt: skip
    if offer.gift is not None:
        noun = draw.choice((f"a free {offer.gift} with {scope}", f"a {offer.gift} as a gift with {scope}",
                            f"a complimentary {offer.gift} with your {scope}"))  # fmt: skip
        order = draw.choice((f"get a free {offer.gift} with {scope}", f"receive a {offer.gift} free with {scope}",
                             f"choose {scope}, take home a free {offer.gift}"))  # fmt: skip
        return noun + tail, order + tail
    if offer.percent is not None:
        value = int(offer.percent)
        ways = [f"{value}%"] * 4 + [f"{value} percent", f"{value} per cent"]
        ways += [f"{TEENS[value]} percent"] if value in TEENS else []
        much = draw.choice(ways)
    else:
        much = money(offer.amount or 0, facts, draw)
    nouns = [f"{much} off {scope}", f"{much} off {scope}", f"{much} off your {scope}", f"a {much} saving on {scope}"]
    orders = [f"save {much} on {scope}", f"take {much} off {scope}", f"get {much} off {scope}",
              f"enjoy {much} off {scope}"]  # fmt: skip
    if offer.percent == 50:
        nouns, orders = [*nouns, f"half price on {scope}"], [*orders, f"get {scope} at half price"]
    return draw.choice(nouns) + tail, draw.choice(orders) + tail


def _chinese_benefit(offer: CopyOffer, facts: CopyFacts, draw: Random, drop: str) -> tuple[str, str]:
    scope, head = offer.scope, ""
    spend = ""
    if offer.threshold is not None and drop != "threshold":
        spend = money(offer.threshold, facts, draw)
        head = draw.choice(("满{}", "消费满{}", "单笔满{}", "买满{}", "订单满{}")).format(spend)
    if offer.gift is not None:
        end = draw.choice((f"送{offer.gift}", f"赠{offer.gift}", f"即赠{offer.gift}", f"附送{offer.gift}"))
    elif offer.percent is not None:
        left = 100 - int(offer.percent)
        digits = str(left).rstrip("0")
        fold = draw.choice((digits, "".join(HAN[int(d)] for d in digits)))
        ways = [f"{fold}折", f"享{fold}折", f"打{fold}折", f"低至{fold}折", f"立省{int(offer.percent)}%"]
        ways += ["半价"] if left == 50 else []
        end = draw.choice([way for way in ways if "低至" not in way])
    else:
        value = offer.amount or 0
        if spend and draw.random() < 0.3 and offer.threshold == int(offer.threshold or 0) and value == int(value):
            both = f"{scope}满{int(offer.threshold or 0)}减{int(value)}"
            return both, both
        end = draw.choice(("立减{}", "直降{}", "减{}", "省{}", "优惠{}")).format(money(value, facts, draw))
    if head[-1:].isdigit() and end[0].isdigit():  # 满￥49, 85折: not 4985
        head += "，"
    text = draw.choice((f"{scope}{head}{end}", f"买{scope}，{head}{end}", f"{scope}{head}{end}"))
    return text, text


def _english_days(offer: CopyOffer, draw: Random) -> tuple[str, str]:
    end, start = english_day(offer.end, draw), english_day(offer.start, draw, weekday=False)
    until = draw.choice((f"until {end}", f"through {end}", f"till {end}", f"from {start} to {end}", f"until {end}",
                         f"between {start} and {end}"))  # fmt: skip
    sentence = draw.choice((f"Ends {end}", f"Valid until {end}", f"The offer runs through {end}", f"Last day: {end}",
                            f"Valid {start} to {end}", f"Offer ends on {end}"))  # fmt: skip
    return until, sentence


def english_day(day: date, draw: Random, *, weekday: bool = True, name: str = "") -> str:
    """A day in one of the English manners; `name` says another weekday than its own."""
    month, num = MONTHS[day.month - 1], day.day
    ordinal = f"{num}{'th' if num in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(num % 10, 'th')}"
    text = draw.choice((f"{num} {month}", f"{month} {num}", f"{num} {month[:3]}", f"{month[:3]} {num}",
                        f"{month} {ordinal}", f"{ordinal} {month}", f"{num} {month} {day.year}",
                        f"{month} {num}, {day.year}", day.isoformat()))  # fmt: skip
    if name or (weekday and draw.random() < 0.3):
        full = name or DAYS[day.weekday()]
        return draw.choice((f"{full}, {text}", f"{full} {text}", f"{full[:3]} {text}"))
    return text


def _chinese_days(offer: CopyOffer, draw: Random) -> tuple[str, str]:
    end, start = chinese_day(offer.end, draw), chinese_day(offer.start, draw, weekday=False)
    until = draw.choice((f"截至{end}", f"{start}至{end}", f"有效期至{end}", f"{start}到{end}", f"活动到{end}"))
    sentence = draw.choice(
        (f"{end}截止", f"活动{end}结束", f"有效期至{end}", f"活动时间{start}至{end}", f"截止日期{end}")
    )
    return until, sentence


def chinese_day(day: date, draw: Random, *, weekday: bool = True, name: str = "") -> str:
    """A day in one of the Chinese manners; `name` says another weekday than its own."""
    short = f"{day.month}月{day.day}日"
    han = f"{chinese_number(day.month)}月{chinese_number(day.day)}日"
    text = draw.choice((short, short, short[:-1] + "号", f"{day.year}年{short}", han, day.isoformat()))
    if name or (weekday and draw.random() < 0.3):
        own = name or "一二三四五六日"[day.weekday()]
        return text + draw.choice((f"（周{own}）", f"（星期{own}）", f"周{own}"))
    return text


def _code(code: str | None, english: bool, draw: Random) -> tuple[str, str]:
    if code is None:
        return "", ""
    if english:
        clause = draw.choice((f" with code {code}", f" using code {code}", f" with the code {code} at checkout"))
        return clause, draw.choice((f"Use code {code}.", f"Enter {code} at checkout.", f"Your code: {code}."))
    clause = draw.choice((f"，使用优惠码{code}", f"，凭码{code}", f"（优惠码：{code}）", f"，结算时输入{code}"))
    return clause, draw.choice((f"优惠码：{code}。", f"结算时填写{code}。", f"券码{code}，"))


def _tidy(text: str, locale: str) -> str:
    if locale == "zh":
        text = re.sub("[，：]+([。！？])", r"\1", re.sub("^[，。：]+", "", re.sub("([，。：])[，。]+", r"\1", text)))
        return text.strip("，")
    text = re.sub(r"\s+([.,:!?])", r"\1", " ".join(text.split()))
    text = re.sub(r"([:,])\.", ".", re.sub(r"\.(\s*\.)+", ".", text)).lstrip(".,: ")
    return re.sub(r"(^|[.?!]\s)([a-z])", lambda match: match[1] + match[2].upper(), text)
