"""The Chinese phrases."""

from datetime import date

from nightmarket.copywriting.phrases.language import Benefit, Phrasebook, plain

_CURRENCIES = {"CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元"}


def _money(value: float, symbol: str, currency: str) -> str:
    return f"{plain(value)}{_CURRENCIES[currency]}" if currency in _CURRENCIES else f"{symbol}{plain(value)}"


def _day(day: date, year: bool) -> str:
    return (f"{day.year}年" if year else "") + f"{day.month}月{day.day}日"


def _coupon(of: str, much: str) -> Benefit:
    """of: the coupon's value before the word, much: what it takes off."""
    return Benefit(
        (f"{{thing}}{of}优惠券", f"您的{{thing}}{of}优惠券"),
        (f"凭券购{{thing}}{much}", f"用券选购{{thing}}，{much}", f"选购{{thing}}，凭券{much}"),
        (f"您有一张{{thing}}{of}优惠券", f"购买{{thing}}时用券{much}"),
    )


CHINESE = Phrasebook(
    benefits={
        "percent": Benefit(
            ("{thing}{percent}", "{thing}享{percent}优惠", "{thing}{percent}优惠"),
            (
                "{percent}选购{thing}",
                "选购{thing}，享{percent}",
                "带{thing}回家，享{percent}优惠",
                "{percent}把{thing}带回家",
            ),
            ("现在选购{thing}享{percent}", "购买{thing}可享{percent}优惠", "{thing}正在{percent}优惠中"),
        ),
        "amount": Benefit(
            ("{thing}立减{amount}", "{thing}优惠{amount}", "{thing}立省{amount}"),
            ("选购{thing}，立省{amount}", "买{thing}，少付{amount}", "带{thing}回家，立减{amount}"),
            ("现在选购{thing}可减{amount}", "购买{thing}少花{amount}", "{thing}现在便宜{amount}"),
        ),
        "percent_coupon": _coupon("{percent}", "享{percent}"),
        "amount_coupon": _coupon("{amount}", "立减{amount}"),
        "coupon": Benefit(
            (
                "{thing}优惠券已到账",
                "{thing}可用的优惠券",
                "您的{thing}优惠券",
                "优惠券来了，{thing}可用",
                "给您一张{thing}优惠券",
            ),
            ("用券选购{thing}", "凭券购买{thing}", "带上优惠券，选购{thing}"),
            ("您有一张{thing}优惠券", "购买{thing}可用优惠券", "{thing}优惠券在等您", "为您准备了{thing}优惠券"),
        ),
        "gift": Benefit(
            ("购{thing}送{gift}", "{thing}有礼，送{gift}", "买{thing}，赠{gift}"),
            ("选购{thing}，即赠{gift}", "带{thing}回家，赠{gift}"),
            ("购买{thing}可获赠{gift}", "现在选购{thing}送{gift}"),
        ),
    },
    conditions=(
        "（消费满{threshold}可用）",
        "（订单满{threshold}可用）",
        "（单笔满{threshold}可用）",
        "（满{threshold}）",
    ),
    codes=("（优惠码：{code}）", "，使用优惠码{code}", "，凭码{code}"),
    until=("{end}截止", "有效期至{end}", "{start}至{end}", "活动到{end}"),
    ends=("{end}截止。", "活动时间{start}至{end}。", "有效期至{end}。", "活动{end}结束。", "截止日期{end}。"),
    frames={
        "push": (
            "{noun}，{until}",
            "{order}，{until}",
            "{clause}，{until}",
            "{until}，{noun}",
            "{shop}：{noun}，{until}",
        ),
        "sms": (
            "{shop}：{noun}，{until}。",
            "{opener}{order}，{until}。{shop}",
            "{clause}，{until}。{closer}",
            "{until}，{order}。{closer}",
            "{opener}{noun}。{ends}",
            "【{shop}】{clause}，{until}。{closer}",
            "在{shop}，{order}。{ends}",
            "{order}。{ends}{shop}等您。",
            "您好，{shop}提醒您：{noun}，{until}。",
        ),
        "subject": (
            "{noun}",
            "{order}",
            "{clause}",
            "{noun}，{until}",
            "{shop}：{noun}",
            "{until}：{noun}",
            "在{shop}，{clause}",
        ),
        "body": (
            "{opener}\n\n{clause}。{ends}{such}\n\n{why}{closer}\n{shop}",
            "{order}，{until}。{why}\n\n{closer}\n{shop}",
            "{opener}{why}\n\n{clause}。{ends}\n\n{closer}\n{shop}",
            "{until}，{clause}。{such}{why}\n\n{closer}\n\n{shop}",
            "{opener}{order}。{ends}{why}\n\n{closer}{shop}",
            "在{shop}，{clause}。{ends}{such}{why}\n\n{closer}",
            "您好，{shop}给您写信。{clause}，{until}。{such}\n\n{why}{closer}",
            "{such}{order}，{until}。{why}\n\n{closer}\n{shop}",
            "{why}{noun}，{until}。\n\n{closer}\n{shop}",
            "亲爱的顾客：\n\n{noun}。{ends}{such}{why}\n\n{closer}\n{shop}",
        ),
        "banner": ("{noun}，至{end}", "{noun}，{until}", "{order}，{until}", "{clause}，{until}", "{until}：{noun}"),
    },
    plain={
        "push": (
            "{product}，来看看吧",
            "为您选了{product}",
            "{shop}：{product}在等您",
            "试试{product}吧",
            "购物清单加一项：{product}",
        ),
        "sms": (
            "{opener}{product}，就在{shop}。",
            "{shop}：{product}在等您。{closer}",
            "购物清单加一项：{product}。{closer}{shop}",
            "【{shop}】为您选了{product}。{closer}",
            "试试{product}吧，{shop}有售。",
        ),
        "subject": ("为您选了{product}", "{product}，就在{shop}等您", "试试{product}吧", "{shop}推荐{product}"),
        "body": (
            "{opener}\n\n为您选了{product}。{cost}{why}\n\n{closer}\n{shop}",
            "{opener}\n\n{product}，就在{shop}等您。{cost}{why}{closer}",
            "您好，{shop}向您推荐{product}。{cost}\n\n{why}{closer}",
            "亲爱的顾客：\n\n试试{product}吧，{shop}有售。{cost}{why}\n\n{closer}",
        ),
        "banner": ("为您选了{product}", "{product}，来看看吧", "试试{product}吧", "{product}在等您"),
    },
    new={
        "push": ("新品：{product}", "{shop}上新：{product}", "新到店：{product}", "上新啦，{product}来了"),
        "sms": (
            "{shop}上新：{product}。{cost}{closer}",
            "新到店：{product}。{cost}{shop}等您。",
            "{opener}新品{product}，就在{shop}。{cost}",
            "【{shop}】新品上架：{product}。{closer}",
            "您好，{shop}的新品来了：{product}。{cost}",
        ),
        "subject": ("新品：{product}", "{shop}上新：{product}", "新到店：{product}"),
        "body": (
            "您好，{shop}给您写信。\n\n新品到店：{product}。{cost}\n\n{closer}",
            "{shop}的货架上添了新品：{product}。{cost}\n\n{closer}\n{shop}",
            "{opener}\n\n新品{product}，就在{shop}。{cost}\n\n{closer}",
            "亲爱的顾客：\n\n{product}新到店。{cost}{closer}\n{shop}",
        ),
        "banner": ("新品：{product}", "{shop}上新：{product}", "新到店：{product}"),
    },
    openers={
        "saving": ("这一单，省一点。", "精打细算过日子。", "过日子，能省则省。", "少花一点，也能买好。"),
        "quality": ("犒劳一下自己。", "用心挑选，好好生活。", "给生活添点好心情。", "挑一份喜欢的。"),
        "routine": (
            "家里是不是该补货了？",
            "常买的，别忘了带上。",
            "购物清单写好了吗？",
            "该补货啦。",
            "看看家里缺什么？",
        ),
        "plain": (
            "为您挑了这一样。",
            "下次购物，不妨看看。",
            "想到您可能会喜欢。",
            "给您提个醒。",
            "周末有安排吗？",
            "购物前，看一看这里。",
            "一点小心意，请收好。",
        ),
    },
    closers=(
        "期待您的光临。",
        "祝您购物愉快。",
        "我们店里见。",
        "欢迎选购。",
        "有空来看看。",
        "感谢有您。",
        "祝您一天好心情。",
        "欢迎来逛逛。",
    ),
    such=("不妨看看{product}。", "比如{product}。", "推荐{product}。", "来一份{product}？"),
    cost=("售价{price}。", "价格{price}。"),
    reason=("{product}：{reason}。", "推荐理由：{product}，{reason}。"),
    praise=(
        "顾客评价称赞{product}：{praise}。",
        "{product}因{praise}受到顾客好评。",
        "评价里，顾客夸{product}：{praise}。",
    ),
    joint="、",
    amount=_money,
    day=_day,
    share=lambda percent: f"{(100 - percent) / 10:g}折",
)
