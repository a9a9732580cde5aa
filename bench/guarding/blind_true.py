# ruff: noqa: E501  (a Chinese character counts twice)
"""True texts that were written apart from the guard, as a copywriter or a language model would: its held-out set.

b: what the offer takes off ("20%", "$5"), z: the same as a Chinese clause (八折, 减5元), l: what is left to pay, percent,
c: what it applies to, t: least spend, g: gift, o: code, f and e: first and last day, n: number of days,
p: product, q: brand and product, r: brand, k: kind, s: shop, x: price, why: the measured reason.
"""

from dataclasses import replace
from random import Random

from bench.guarding.catalogue import draw_facts
from bench.guarding.true_texts import (
    HAN,
    ONES,
    TEENS,
    Drawn,
    Message,
    chinese_day,
    english_day,
    money,
)
from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, Locale

EN: dict[str, tuple[str, ...]] = {
    "percent": (
        "{c} for {b} less at {s}, {f} to {e}.",
        "Until {e} you pay {b} less for {c}.",
        "{s} is taking {b} off {c}. See you by {e}?",
        "From {f} until {e}, your {c} comes with {b} taken off.",
        "We've cut {b} off {c}. You have until {e}.",
        "{b} off. {c}. Until {e}. That's it.",
        "Good to know: {c} is down {b} through {e}.",
        "Drop in for {p}: there's {b} off {c}, and it lasts until {e}.",
        "Your basket called. It wants {c}, {b} off until {e}.",
        "Knock {b} off {c} this time round; the offer closes {e}.",
        "The price of {c} drops by {b} from {f} to {e}.",
        "Been meaning to try {p}? Here's a nudge: {b} off {c} till {e}.",
        "Dear customer, we are offering {b} off {c} at {s}. The offer is valid from {f} to {e}. We look forward to seeing you.",
        "{n} days, {b} off {c}: {f} through {e}.",
        "Make room in the cupboard: {c} is {b} off until {e}.",
        "That's {b} back in your pocket on {c}, up to and including {e}.",
        "On {c}, {s} gives you {b} off. Starts {f}, ends {e}.",
        "Shelf looking bare? We'll take {b} off {c} if you shop by {e}.",
        "{p} has been {why}. And {c} is {b} off until {e}.",
    ),
    "amount": (
        "{b} comes off {c} at the till until {e}.",
        "Take home {c} for {b} less; you've got until {e}.",
        "We're knocking {b} off {c} through {e}.",
        "{p} normally sells at {x}. Until {e}, {c} is {b} cheaper.",
        "Here's {b} towards {c}, yours to use by {e}.",
        "Spend a little less on {c}: {b} less, to be exact, till {e}.",
        "Pay {b} less for {c} between {f} and {e}.",
        "An easy {b} to save: pick up {c} by {e}.",
        "Dear customer, between {f} and {e} we take {b} off the price of {c}. Drop by {s} whenever it suits you.",
        "{c}? {b} off? Yes, until {e}.",
    ),
    "spend": (
        "Spend {t}, get {b} off {c}. Ends {e}.",
        "Orders from {t} get {b} off {c}, valid to {e}.",
        "Your order needs to be {t} or above; then {c} is {b} off, until {e}.",
        "With {t} or more in your basket, {c} costs {b} less. Closing day: {e}.",
        "Big shop coming up? From {t} upwards, you save {b} on {c} through {e}.",
        "Spend {t} and we'll take {b} off {c}, until {e}.",
        "{b} off {c} for orders worth {t} and above. Runs to {e}.",
        "Shop for {t} or more by {e} and keep {b} on {c}.",
        "Hit {t}, save {b} on {c}. Last day is {e}.",
        "Once you've put {t} in your basket, {b} comes off {c}. Offer closes {e}.",
        "Doing the weekly shop? At {t} or more, {c} is {b} cheaper through {e}.",
        "You spend {t}, we take {b} off {c}. Until {e}.",
        "The deal: {t} minimum, {b} off {c}, done by {e}.",
    ),
    "gift": (
        "Buy {c} by {e} and we'll add a {g}, on the house.",
        "There's a {g} for you when you buy {c}, until {e}.",
        "Pick up {c} and a {g} comes along at no extra cost. Through {e}.",
        "Buy {c}, and the {g} is on us. Valid until {e}.",
        "We've put aside a {g} for anyone who buys {c} up to {e}.",
        "{c} plus {g}: our gift to you until {e}.",
        "From {f} to {e}, your {c} comes with a {g} as our present.",
        "Dear customer, when you choose {c} at {s}, you will receive a {g} free of charge. This runs from {f} to {e}.",
    ),
    "spend gift": (
        "Spend {t}, take {c} and get a {g} free until {e}.",
        "Orders of at least {t} with {c} in them come with a {g} on us. Until {e}.",
        "A {g} is yours free when you buy {c} and your order comes to {t} or more, through {e}.",
        "Your order at {t} or above, {c} inside, and the {g} is our gift. Ends {e}.",
    ),
    "code": (
        "{o} is your code for {b} off {c}. It works until {e}.",
        "Type {o} at checkout and {c} gets {b} cheaper. Good through {e}.",
        "Psst: {o} takes {b} off {c} until {e}.",
        "Keep this handy: code {o}, {b} off {c}, expires {e}.",
        "Use {o} before you pay and save {b} on {c}. The code runs out on {e}.",
        "Dear customer, with the code {o} you save {b} on {c}. Simply enter it when you pay. The code is valid until {e}.",
        "Your voucher {o} is worth {b} off {c} until {e}.",
        "{b} off {c}? Just add {o} at the checkout by {e}.",
        "Promo code {o}: {b} off {c}. Redeem it no later than {e}.",
        "Enter {o} and {b} disappears from the price of {c}. Valid through {e}.",
    ),
    "spend code": (
        "Code {o}: {b} off {c} on orders of {t}+, until {e}.",
        "Spend at least {t}, enter {o}, and {c} is {b} cheaper until {e}.",
        "With {o} you take {b} off {c}. Your order has to come to {t}. Ends {e}.",
    ),
    "plain": (
        "Something for the weekend list: {p}.",
        "{p}. Now you know where to find it: {s}.",
        "{r} makes {p}, and {s} carries it.",
        "At {x}, {p} is waiting on the shelf at {s}.",
        "Need {k}? {q} is one to look at.",
        "A gentle reminder from {s}: {p} is here whenever you need it.",
        "What goes on the list this week? Maybe {p}, {x}.",
        "{q} sells for {x} at {s}.",
        "Dear customer, we would like to introduce {p} from {r}. You can find it at {s} for {x}. We hope to see you soon.",
        "{p} was {why}. Find it at {s}.",
        "{p} at {s}: {why}.",
    ),
    "new": (
        "New in: {p}.",
        "{p} has just arrived at {s}.",
        "Brand new on our shelves: {q}.",
        "Meet the newcomer: {p}, now at {s}.",
        "We've just added {p} to our range. It costs {x}.",
        "Be among the first to try {p} at {s}.",
    ),
}  # fmt: skip
ZH: dict[str, tuple[str, ...]] = {
    "percent": (
        "{c}{z}进行时，{e}前都有效。", "{f}起至{e}，{c}统统{z}。", "{c}直接{z}，活动持续到{e}。", "本次活动中，{c}按{z}计价，{e}收官。",
        "在{s}，{c}正在{z}优惠中，截止时间为{e}。", "想囤{c}的朋友看过来：{z}，到{e}为止。", "家里少了点什么？{c}{z}，{e}当天仍可参加。",
        "{c}{z}，轻松带回家，{e}前来{s}看看吧。", "亲爱的顾客，{f}至{e}期间，{s}的{c}享受{z}优惠。欢迎您随时来选购。", "{c}便宜了{b}，持续到{e}。",
        "{c}只需支付原价的{l}%，活动{e}结束。", "一句话：{c}{z}，{f}开始，{e}结束。", "购物清单加一项：{c}，{z}价，{e}前有效。",
        "小主，{c}{z}啦，记得在{e}前下单哦。", "{n}天时间，{c}{z}：{f}—{e}。", "{p}{why}。{c}{z}，{e}截止。",
    ),
    "amount": (
        "{c}下单立刻少付{b}，到{e}为止。", "{c}便宜{b}，{e}前都算数。", "买{c}，我们替您付{b}，活动截止{e}。", "{p}标价{x}，现在{c}便宜{b}，{e}结束。",
        "这{b}的优惠，留给选{c}的您，{e}前可用。", "{f}到{e}，{c}结算时减{b}。", "{c}少花{b}，有效期{f}至{e}。",
        "亲爱的顾客，您好！{f}至{e}，在{s}购买{c}可减{b}。期待您的光临。", "{c}价格下调{b}，一直到{e}。", "省下{b}，换一份好心情：{c}优惠到{e}。",
    ),
    "spend": (
        "购物达到{t}，{c}就能{z}，{e}截止。", "一次买够{t}，{c}{z}带走，活动到{e}。", "订单金额不低于{t}时，{c}{z}，{e}结束。", "只要消费{t}以上，{c}{z}，有效至{e}。",
        "凑够{t}，{c}{z}，{e}前有效。", "购物达到{t}，{c}{z}，{e}截止。", "订单金额{t}起，{c}可{z}，{f}至{e}。", "凑单提醒：够{t}就{z}，{c}可用，{e}到期。",
        "消费{t}及以上，{c}{z}，到{e}为止。", "亲爱的顾客，{f}至{e}，单笔消费不少于{t}，购买{c}可{z}。{s}期待您的光临。",
    ),
    "gift": (
        "买{c}，{g}免费带走，活动到{e}。", "选购{c}，我们另外送您一份{g}，{e}截止。", "{c}搭{g}，{g}由我们请客，到{e}为止。", "带{c}回家，{g}一起拿，不另收费，{e}前有效。",
        "{f}至{e}，购买{c}即可获得{g}一份。", "我们为购买{c}的顾客准备了{g}作为礼物，{e}前有效。", "亲爱的顾客，活动期间购买{c}，您将获赠{g}。活动时间：{f}至{e}。",
        "{g}白送！买{c}就有，{e}结束。",
    ),
    "spend gift": (
        "购物达到{t}并购买{c}，{g}免费送，{e}截止。", "订单金额{t}起，买{c}得{g}，到{e}。", "买{c}且消费不低于{t}，{g}就是您的礼物，{e}前有效。", "单笔{t}以上，选{c}，附赠{g}，活动{e}结束。",
    ),
    "code": (
        "口令{o}，{c}{z}，{e}失效。", "付款前填上{o}，{c}就{z}，有效到{e}。", "收好这个码：{o}。{c}{z}，{e}到期。", "{c}{z}的秘密是{o}，下单时填写，{e}前有效。",
        "亲爱的顾客，使用优惠码{o}购买{c}可享{z}。优惠码有效期至{e}。", "输入{o}，{c}立刻{z}，{e}过期。", "您的券码{o}：{c}{z}，{e}前使用。", "结账时报上{o}，{c}{z}，到{e}为止。",
        "{o}，{c}专用，{z}，{e}前填写。",
    ),
    "spend code": (
        "填码{o}，满{t}，{c}{z}，{e}截止。", "消费达{t}后输入{o}，{c}{z}，有效期到{e}。", "{o}可用于{c}，订单{t}起{z}，{e}失效。",
    ),
    "plain": (
        "购物清单上，给{p}留个位置。", "{p}就在{s}，随时来。", "{r}出品的{p}，{s}可以买到。", "{x}，把{p}带回家。", "缺{k}了？看看{q}。", "{s}温馨提示：{p}在架有售。",
        "{q}在{s}卖{x}。", "亲爱的顾客，向您介绍{r}的{p}，售价{x}。欢迎到{s}看看。", "给家里添点{k}，比如{p}。", "{p}，{why}。", "{why}，{p}就在{s}。",
    ),
    "new": (
        "新品到店：{p}。", "{p}刚刚上架，{s}见。", "{s}新添一员：{q}。", "来当{p}的首批顾客吧。", "上新啦！{p}，{x}。", "我们的货架上多了{p}，是新来的。",
    ),
}  # fmt: skip
SETS: dict[Locale, dict[str, tuple[str, ...]]] = {"en": EN, "zh": ZH}


def patterns(locale: Locale) -> list[tuple[str, int]]:
    """Every pattern of a language: what it needs of the facts, and its number there."""
    return [(need, at) for need, phrases in SETS[locale].items() for at in range(len(phrases))]


def facts_for(need: str, locale: Locale, draw: Random) -> CopyFacts:
    """Made-up facts that a pattern can be said of."""
    if need in ("plain", "new"):
        facts = draw_facts(locale, draw, offer=False)
        facts = replace(facts, product=replace(facts.product, is_new=need == "new"))
    else:
        while signature(facts := draw_facts(locale, draw)) != need:
            pass
    if need == "new":
        return facts
    num = draw.randint(20, 4000)
    reason = f"近 4 周有 {num:,} 位顾客买过" if locale == "zh" else f"bought by {num:,} customers in the last 4 weeks"
    return replace(facts, reason=reason)


def signature(facts: CopyFacts) -> str:
    """Which patterns an offer takes."""
    offer = facts.offer
    assert offer is not None
    if offer.gift:
        return "spend gift" if offer.threshold else "gift"
    if offer.code:
        return "spend code" if offer.threshold else "code"
    return "spend" if offer.threshold else ("percent" if offer.percent else "amount")


def say(facts: CopyFacts, need: str, at: int, wording: str) -> Message:
    """A pattern's text in the shortest form that holds it; an e-mail gets a plain subject."""
    english = facts.locale == "en"
    text = SETS[facts.locale][need][at].format(**fields(facts, wording))
    if english:
        text = ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))
    forms: tuple[Form, ...] = ("banner", "push", "sms")
    fitting = [form for form in forms if len(text) <= LIMITS[form]]
    if fitting:
        return {fitting[0]: text}
    return {"subject": f"News from {facts.shop}" if english else f"{facts.shop}的来信", "body": text}


def fields(facts: CopyFacts, wording: str) -> dict[str, str]:
    """What a pattern is filled with."""
    draw, product, offer = Random(wording), facts.product, facts.offer
    english = facts.locale == "en"
    slots = {
        "p": product.name,
        "q": f"{product.brand} {product.name}" if english else product.brand + product.name,
        "r": product.brand,
        "k": product.category,
        "s": facts.shop,
        "x": money(product.price or 0, facts, draw),
        "why": facts.reason,
    }
    if offer is not None:
        day = english_day if english else chinese_day
        less, clause, left = _benefit(facts, draw)
        num = (offer.end - offer.start).days + 1
        spelt = (ONES[num].capitalize() if english else HAN[num]) if num < 10 else str(num)
        slots |= {"b": less, "z": clause, "l": left, "c": offer.scope, "g": offer.gift or "", "o": offer.code or ""}
        slots |= {"t": money(offer.threshold or 0, facts, draw), "f": day(offer.start, draw, weekday=False)}
        slots |= {"e": day(offer.end, draw), "n": spelt}
    return slots


def _benefit(facts: CopyFacts, draw: Random) -> tuple[str, str, str]:
    offer = facts.offer
    if offer is None or offer.gift is not None:
        return "", "", ""
    if offer.percent is None:
        much = money(offer.amount or 0, facts, draw)
        return much, draw.choice((f"减{much}", f"便宜{much}", f"少付{much}", f"优惠{much}")), ""
    value = int(offer.percent)
    digits = str(100 - value).rstrip("0")
    fold = draw.choice((digits, digits, "".join(HAN[int(digit)] for digit in digits))) + "折"
    spelt = [f"{TEENS[value]} percent"] if value in TEENS else []
    less = draw.choice([f"{value}%", f"{value}%", f"{value} percent", *spelt]) if facts.locale == "en" else f"{value}%"
    return less, fold, str(100 - value)


def draw_blind(locale: Locale, times: int, seed: int) -> list[tuple[str, Drawn]]:
    """(what it needs, text) of every pattern `times` times, each with facts and wording of its own."""
    drawn = []
    for need, at in patterns(locale):
        draw = Random(f"{seed}|{locale}|{need}|{at}|blind")
        for _ in range(times):
            facts, wording = facts_for(need, locale, draw), str(draw.random())
            drawn.append((need, Drawn(facts, say(facts, need, at, wording), at, wording)))
    return drawn
