# ruff: noqa: E501  (a Chinese character counts twice)
"""The last round of texts written apart from the guard: run once, and nothing fixed after; fields as in `blind_true`."""

from random import Random

from bench.guarding.blind_true import facts_for, fields
from nightmarket.copywriting.facts import CopyFacts, Locale

FALSE: dict[Locale, tuple[str, ...]] = {
    "en": (
        "{b} off {c} until {e}. We also take back what you don't like.", "{b} off {c} until {e}, on top of the sale.", "Members get {b} off {c} until {e}.",
        "{b} off {c} until {e}. Our bestseller.", "{b} off {c} until {e}, then it's gone for good.", "{b} off {c} until {e}. Picked at dawn.", "{b} off {c} until {e}; stocks are low.",
        "{b} off {c} until {e}. You'll sleep like a baby.", "Because you bought {p}: {b} off {c} until {e}.", "{b} off {c} until {e}. Sign up to get it.", "{b} off {c} until {e} in all sizes.",
        "{b} off {c} until {e}. It takes two days to reach you.", "{b} off {c} until {e}. The whole family will be happy.", "{b} off {c} until {e}, a saving you get once a year.",
        "{b} off {c} until {e}. You will not regret it.", "{b} off {c} until {e}. Buy now and it comes with a spoon.", "{b} off {c} until {e}. We pay the rest.", "{b} off {c} until {e}, at the till or by phone.",
        "Your neighbours enjoy {p}. {b} off {c} until {e}.", "{b} off {c} until {e}, plus something for free.",
    ),
    "zh": (
        "{c}{z}，{e}截止，不喜欢可退。", "会员{c}{z}，{e}截止。", "{c}{z}，{e}截止，过后恢复。", "热销{c}{z}，{e}截止。", "{c}{z}，{e}截止，库存紧张。", "清晨采摘，{c}{z}，{e}截止。", "因为您买过{p}，{c}{z}，{e}截止。",
        "{c}{z}，{e}截止，先登记再领。", "{c}全部尺码{z}，{e}截止。", "{c}{z}，{e}截止，两天送达。", "全家都满意，{c}{z}，{e}截止。", "一年一次，{c}{z}，{e}截止。", "{c}{z}，{e}截止，吃了不长肉。", "{c}{z}，{e}截止，另有勺子相送。",
        "{c}{z}，{e}截止，电话也能订。", "邻居都在买{p}，{c}{z}，{e}截止。", "{c}{z}，{e}截止，差价我们补。", "{c}{z}，{e}截止，好吃不贵。", "老板亏本，{c}{z}，{e}截止。", "{c}{z}，{e}截止，还有神秘小礼。",
    ),
}  # fmt: skip
TRUE: dict[Locale, tuple[str, ...]] = {
    "en": (
        "Stocking up on {c}? Take {b} off until {e}.", "Here's the offer: {b} off {c}, valid through {e}.", "{c}, minus {b}. Only the price changes, until {e}.", "We're giving you {b} off {c} until {e}.",
        "{b} off {c} at {s}. Ends on {e}. Happy shopping!", "Save on {c}: {b} off, {f} to {e}.", "You'll find {c} with {b} off at {s} until {e}.", "A treat for your basket: {b} off {c} until {e}.",
        "Put {p} in your basket and pay {b} less. Until {e}.", "It's simple: {c}, {b} off, until {e}.", "Come and see us before {e}: {b} off {c}.", "Between {f} and {e}, {c} costs you {b} less.",
        "Ready for {p}? {b} off {c} until {e}.", "This offer is for {c}: {b} off. Valid until {e}.",
    ),
    "zh": (
        "{s}送来好消息，{c}{z}，{e}结束。", "逛{s}，买{c}，{z}，{e}截止。", "{c}{z}活动开始啦，{f}至{e}。", "选{c}的您有福了，{z}，至{e}。", "{e}之前，{c}{z}。", "快来{s}，{c}{z}，{e}截止。", "{p}也在其中：{c}{z}，{e}截止。",
        "想买{c}？现在{z}，{e}截止。", "一起来选{c}吧，{z}，活动到{e}。", "{c}{z}，有效期{f}至{e}，欢迎光临{s}。", "您的购物车缺{c}吗？{z}，{e}截止。", "{c}{z}，优惠于{e}结束。", "{s}请您留意：{c}{z}，{e}截止。", "{c}今起有优惠：{z}，{e}截止。",
    ),
}  # fmt: skip


def last(locale: Locale, times: int, seed: int) -> list[tuple[bool, str, CopyFacts, str]]:
    """(whether it is true, pattern, facts, text), every pattern `times` times."""
    texts = []
    for is_true, patterns in ((True, TRUE[locale]), (False, FALSE[locale])):
        for pattern in patterns:
            draw = Random(f"{seed}|{locale}|{pattern}|last")
            for at in range(times):
                facts = facts_for("percent" if at % 2 else "amount", locale, draw)
                text = pattern.format(**fields(facts, str(draw.random())))
                texts.append((is_true, pattern, facts, text[:1].upper() + text[1:]))
    return texts
