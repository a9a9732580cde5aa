# ruff: noqa: E501  (a Chinese character counts twice)
"""The words and the sentences that a text may use around its facts: closed lists per language.

Ordinary words make claims too ("it also holds for your friends"). A sentence with a name or a figure of the facts is read by the
other rules; one without can only be small talk, whose shapes are few.

False claims are endless, so a list of them is never complete. What a promotion has to say is not: where, what, how much, when,
an invitation. A word that is not listed states something that nobody measured or wrote down, and the text is stopped.
"""

import re

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.phrases import LANGUAGES, runs, vocabulary
from nightmarket.copywriting.reading import MASK, MONTHS, SENTENCE, WEEKDAYS, read

_TALK_EN = re.compile(
    r"(?:(?:so|and|well|psst|now|simply|just|please|oh)[,:]? )?(?:hello|hi|hey|dear|good (?:morning|evening|day|news|to know|afternoon)|thanks?|"
    r"see you|we (?:hope|look forward|would like to (?:see|welcome)|wish|thought|picked|are (?:glad|happy|pleased)|have something)|welcome|"
    r"news|enjoy|visit|come|drop|pop|stop by|swing|have a|treat yourself|let us|here(?:'s| is)|that'?s (?:it|all)|no (?:rush|hurry)|time (?:to|for)|"
    r"something|a (?:little|small|thought|note|gentle|reminder|good|nice)|plan|stock up|add|put|pick up|try|find|look|shop|ready|simple|small|"
    r"your (?:basket|shelf|table|kitchen|list)|for your|bring it|how about|happy|yours|until (?:then|soon)|we(?:'d| would) like to|"
    r"(?:enter|use|type|add|show) (?:it|(?:the|this|your) code) )",
    re.IGNORECASE,
)
_MORE_EN = re.compile(
    r"\b(?:also|too|again|another|more|lower|next (?!visit|basket|order|shop|time|trip)\w+|prices?(?!, big)|friends?|sav(?:e|es|ing|ings)|later|free|"
    r"coupons?|vouchers?|offers?|discounts?|gifts?|extra|same|both|any|every|kids|costs?|works?|holds?|before (?!you)|after|else|half|works|helps?)\b",
    re.IGNORECASE,
)
_TALK_ZH = re.compile(
    r"(?:亲爱的|尊敬的|您好|你好|大家好|亲|各位|小主|欢迎|期待|祝|感谢|谢谢|我们(?:店里)?见|我们等|店里见|再见|记得|别忘了|慢慢|不着急|随时|有空|来看看|看看|逛逛|来逛|"
    r"为您|想到您|家里|厨房|冰箱|餐桌|好好|该补货|温馨|小贴士|省心|下次购物|想试试|换个口味|常买的|过日子|这一单|给餐桌|给家里|给自己|犒劳|用心|好消息|一点|就等您|等您|结算时填|下单时填|付款前填|见$|给您写信|的?来信|上架)"
)
_MORE_ZH = re.compile(
    r"价格|减|也|还|都|再|可用|付|顾客(?![，,。！])|朋友也|送|免|下次(?!购物|见)|换别|别的|一年|券|礼|便宜|够用|适用|换(?!个口味)"
)
_KNOWN = {
    locale: frozenset(
        folded(text).strip(" .!?。！？").lower()
        for texts in (*language.openers.values(), language.closers)
        for text in texts
    )
    for locale, language in LANGUAGES.items()
}


def free_standing(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Statements about nothing that the facts hold."""
    shop = folded(facts.shop)
    names = [name for name in facts.names if name != shop]
    talk, more, known = (
        (_TALK_EN, _MORE_EN, _KNOWN["en"]) if facts.locale == "en" else (_TALK_ZH, _MORE_ZH, _KNOWN["zh"])
    )
    broken = []
    for sentence in SENTENCE.split(without(text, names)):
        bare = re.sub(re.escape(shop), "", sentence, flags=re.IGNORECASE).strip(" .!。！【】-—,，:：")
        if not bare or MASK in bare or bare.lower().rstrip("?？") in known or bare.endswith(("?", "？")):
            continue
        if any(c.isdigit() for c in bare) or _has_figures(bare):
            continue
        if not talk.match(bare) or more.search(bare):
            broken.append(Violation("unsupported statement", bare[:20]))
    return broken


def _has_figures(text: str) -> bool:
    figures = read(text)
    return bool(figures.amounts or figures.percents or figures.days or figures.weekdays)


_EN = """
a about across add adding adds ahead aisle along am among amount an and answer applies apply are around as aside ask
asks at away back bag bare basics basket baskets be because been before between big bill bring brings browse budget but
buy buying buys by call called calls can carries carry cart cent cents cheaper check checking checkout choice choices
choose chooses choosing close closes closing cny code codes collect come comes coming complimentary cost costs cosy
could counter coupon coupons cupboard cupboards customer customers cut cuts date day days deal deals dear desk did
disappear disappears discount discounted discounts do does dollar dollars done door down drop dropping drops during ease
easy eight eighteen eighty eleven else end ending ends enjoy enjoying enter entering eur euro euros exact expire expires
expiring fancy favour fifteen fifth fifty fill filling fills find finds fine fit fits five follow follows food for forty
forward found four fourteen free from full fun gbp get gets getting gift gifts give gives glad go goes going good got
grab greetings had half handy happily happy has have having he hear hello help her here here's hi hint hit hits hold
holds home hope how hundred i i'd i'll i'm idea ideas if in include included includes inside inspiration into introduce
invitation invite is it it's item items its join jpy just keep keeps kindly kitchen knock knocking know lands last
lasting lasts leave less let let's lighter like likes line lined list lists little load look looking looks make makes
making maybe me meal meals meet met might mind minder minimum moment much my name nd need needs news next nice nine
nineteen ninety normal normally note notice now nudge number of off offer offered offering offers on once one onto or
order order's ordering orders otherwise our ours out over pay paying pence per percent perhaps pick picked picking picks
pile plan planning plans pleasant please pleased pleasure plus pocket pop possible pound pounds preparing present
presents price priced prices promo promotion promotions psst pull purchase purchases put puts quarter rd reach reached
reaches read reason receive received redeem reduced regards remember remind reminder remove restock right rmb room run
running runs rush said save saved saver saves saving savings say says see sees sell selling sells send sending set sets
seven seventeen seventy shelf shelves shop shopper shoppers shopping short should show simple simply sit sits six
sixteen sixty small smaller smile smiles so some someone something sometimes somewhere soon spend spending spends spot
spread st stand stands start starting starts stay stays step still stocked stocking store stores suggest suggestion
suggestions suggests swing table tables take takes taking tell tempted ten tenth terms th thank thanked thanking thanks
that that's the their them then there there's these they they're things think thinking third thirteen thirty this those
thought thoughtful thoughts three through till time times to today together too toward towards treat tried trip try
trying turn twelve twenty two type typing under until up upon upper us usd use used useful uses using usual usually
valid valued visit visiting visits voucher vouchers wait waiting waits wallet want wants was way we we'd we'll we're
we've week welcome well were what what's when whenever where wherever whether which while who who's why will wish wishes
wishing with within wondering word words worth would write wrote yes yet you you'd you'll you're you've your yours
yourself yuan
"""
_FULL_MONTHS = "january february march april june july august september october november december sept tues thurs"
EN = frozenset((*vocabulary(), *_EN.split(), *_FULL_MONTHS.split(), *MONTHS, *WEEKDAYS, *(day[:3] for day in WEEKDAYS)))
_EN_NEWS = "new newly newcomer arrival arrivals arrived arrives debut debuts launch launched first introducing met"
EN_NEWS = frozenset(_EN_NEWS.split())
EN_TURNS = re.compile(
    r"\b(?:no (?:rush|hurry|later than|extra (?:cost|charge)|charge|cost)|free of charge|don'?t forget|everything between|running low(?: on)?|"
    r"that'?s all|(?:your|the) own|once more|as ever|on its way|in stock|up to and including|or more|and more(?=[:,.]|$)|any time|first day|not to forget|"
    r"in short|at least|(?:or|and) above|gentle (?:reminder|nudge)|fancy a change|(?:cosy|quiet|long) (?:evenings?|mornings?)|weekend (?:plans|list|shop)|good (?:morning|evening))\b",
    re.IGNORECASE,
)
"""Turns of speech with a word that alone could turn a statement into its opposite."""
EN_CLAIMS = re.compile(
    r"\bthe more\b|\bnext (?!order|visit|basket|shop|time|trip|purchase|meal)\w+|\b(?:we|you)(?:'ve| have)? (?:noticed|saw|know)\b|"
    r"\byou(?:'ve| have)? (?:bought|spent)\b|\bworth every\b|\b(?:we|i) hope this\b|\blike you\b|\bboth of\b|\bgo(?:es)? (?:up|down)\b|\bthe one\b|"
    rf"\blasts? (?:for|and|a)\b|{MASK},? (?:and|or) (?:(?:your|the) (?!{MASK})|(?:all|what|our|any|everything|other|some|more (?!:))\b)",
    re.IGNORECASE,
)
"""Listed words that make a claim together, or stretch what the offer applies to."""

_ZH = """
〇 一 七 万 三 上 下 与 且 两 个 中 为 之 九 买 了 二 五 享 亲 从 付 以 们 价 份 你 元 八 六 内 减 凭 到 券 前 十 千 卖 去 及 可 号 后 吗 吧 含 呀 呢 周 和 哦 售 啊
啦 嘛 四 囤 在 块 填 够 天 好 就 已 带 年 并 当 得 快 您 想 成 我 或 打 找 把 折 抵 拿 按 挑 搭 日 时 是 月 有 期 来 样 款 添 满 点 猜 由 百 的 省 码 等 约 给 缺 能
至 花 要 见 让 请 购 赠 起 达 这 送 选 逛 那 里 降 零 需 领 一下 一份 一半 一单 一并 一律 一杯 一样 一次 一点 一直 一起 一项 上架 上满 下单 下调 不妨 专属 专用 为止 买到 买单
买够 享受 亲们 什么 仅需 介绍 仍可 付款 以上 以及 价格 价钱 任选 优惠 你好 你的 使用 例如 便宜 光临 免费 其中 再见 写上 写信 准备 减免 凑单 凑够 凭券 凭码 出品 出售 到家 到店 到期 到账
券码 加入 加购 包含 包括 半价 单笔 即赠 原价 厨房 参加 口令 只要 只需 可享 可以 可减 可抵 可用 吃饭 各位 合适 咱们 哪里 售价 商品 回家 囤货 在售 在找 在架 块钱 填上 填写 填码 备上 备好
失效 好吗 好好 好物 如何 安心 安排 实付 客户 家中 家里 对折 小主 小礼 少付 少花 就在 就是 就有 就能 带上 带走 平常 平时 店里 开始 当天 当日 心情 心意 总额 您好 您的 惠顾 惦记 想到 想囤
愉快 感谢 慢慢 我们 截止 截至 报上 抵扣 拿下 持续 挂念 挑选 推荐 提到 提醒 支付 收好 收官 日元 日子 日期 时间 星期 替您 有售 有效 有礼 有空 期待 期间 本店 本次 来信 来点 来自 标价 欢迎
欧元 正在 比如 活动 消息 消费 添上 添点 清单 犒劳 现享 现在 理由 生活 用完 用心 留给 白送 目录 直减 直接 直降 省下 省事 省力 省心 看看 瞧瞧 礼品 礼拜 礼物 祝您 秘密 立享 立减 立刻 立即
立省 等您 结束 结算 结账 统统 缺了 美元 自己 英镑 获得 获赠 补货 见面 计价 计算 订单 认识 记得 试试 试过 请客 谢谢 货架 购买 购物 贴心 赠送 轻松 输入 达到 过期 还可 这份 这次 这款 这里
进店 进行 适合 适用 选择 选购 逛逛 都在 金额 门店 附赠 附送 陪您 随时 需要 页面 顺手 顺路 顾客 餐桌 一句话 一直到 一起拿 下一单 不低于 不少于 不着急 亲爱的 优惠中 优惠价 优惠券 优惠码
会喜欢 便宜了 准备了 出品的 别忘了 加一项 及以上 另收费 可用于 告诉您 喜欢的 囤一点 在架上 在等您 大家好 好心情 好消息 尊敬的 小心意 小贴士 已上架 已到账 带回家 店里见 怎么样 您喜欢 想试试
慢慢过 慢慢选 我们猜 持续到 挑一份 挑一挑 换一份 提醒您 日常价 早餐来 暖暖的 更省心 替您付 有效期 有效至 来一份 来一杯 来一瓶 正合适 添一份 由我们 百分之 看一看 看过来 等着您 简单说 该补货
货架上 购物车 过日子 这一单 这一样 这一款 这个码 进行中 进行时 选一份 选一选 都有效 都算数 陪着您 随时来 下次下单 下次购物 不另收费 为您准备 另外送您 向您介绍 好好吃饭 好物推荐 快用完了 感谢有您
我们也是 截止日期 截止时间 换个口味 推荐理由 提前安排 新的一周 有安排吗 有效期到 有效期至 本周清单 欢迎光临 欢迎选购 正在等您 正在进行 活动时间 活动期间 温馨提示 温馨提醒 犒劳一下 留个位置 精打细算
给您写信 认识一下 该补货啦 购物清单 马上可用 一点小心意 出示优惠码 少了点什么 我们替您付 暖暖的晚上 朋友看过来 省心又顺手 周末有安排吗 期待您的光临 犒劳一下自己 的朋友看过来 祝您购物愉快 算我们的心意
"""
ZH = frozenset(_ZH.split()) | runs("zh", "[\u4e00-\u9fff]+")
_ZH_NEWS = "新 新品 新款 新到 新到店 新来 新来的 新添 新添一员 一员 上新 上新啦 刚刚 刚刚上架 刚到 刚上架 首批 首发 第一批 尝鲜 全新 多了"
ZH_NEWS = frozenset(_ZH_NEWS.split())
ZH_CLAIMS = re.compile(
    rf"上个|大家(?!好)|买过|每[^日天周月]|几|您(?:们)?(?:还有|属于|住|今年|上次)|算我们的(?!心意)|(?<!正)在用|顾客们?(?:都|常|爱|说|喜欢)|"
    rf"一(?:年|个月|周|星期)|{MASK}(?:和|与|及|以及)(?!{MASK})|见券"
)
_HAN = re.compile("[\u4e00-\u9fff〇]+")
_LATIN = re.compile(r"[a-z]+(?:'[a-z]+)*")
_LONGEST = max(map(len, ZH | ZH_NEWS))
PRAISE_EN = frozenset(("praise", "praised", "praises", "review", "reviews", "reviewers", "buyers"))
PRAISE_ZH = frozenset(("好评", "评价", "评价里", "评价中", "称赞", "夸", "买家", "得到", "受到", "因", "因为", "而"))


def unlisted(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Words that no list holds and that are not part of a name of the facts."""
    find = _english if facts.locale == "en" else _chinese
    return [Violation("unsupported wording", word) for word in dict.fromkeys(find(masked, facts))]


def _english(masked: str, facts: CopyFacts) -> list[str]:
    claims = [match[0].lower() for match in EN_CLAIMS.finditer(masked)]
    own = set(_LATIN.findall(" ".join(_named(facts)).lower()))
    news = EN_NEWS if facts.product.is_new else frozenset[str]()
    praise = PRAISE_EN if facts.praise else frozenset[str]()
    words = _LATIN.findall(EN_TURNS.sub(" ", masked.replace("\u2019", "'")).lower())
    return claims + [word for word in words if not (word in EN or word in own or word in news or word in praise)]


def _named(facts: CopyFacts) -> list[str]:
    """Names whose words may stand alone too: the last word of a product's name is what it is."""
    product, offer = facts.product, facts.offer
    names = [facts.shop, product.name, product.brand, product.category]
    return names if offer is None else [*names, offer.scope, offer.gift or ""]


def _chinese(masked: str, facts: CopyFacts) -> list[str]:
    claims = [match[0] for match in ZH_CLAIMS.finditer(masked)]
    news = ZH_NEWS if facts.product.is_new else frozenset[str]()
    praise = PRAISE_ZH if facts.praise else frozenset[str]()
    listed = ZH | news | praise if news or praise else ZH
    for run in _HAN.findall(masked.replace(MASK, " ")):
        claims += _left_over(run, listed)
    return claims


def _left_over(run: str, listed: frozenset[str]) -> list[str]:
    """Characters that no division of a run into listed words covers, by the division that covers most."""
    most = [0] * (len(run) + 1)
    step = [1] * (len(run) + 1)
    for at in range(len(run) - 1, -1, -1):
        most[at] = most[at + 1]
        for length in range(1, min(_LONGEST, len(run) - at) + 1):
            if run[at : at + length] in listed and length + most[at + length] > most[at]:
                most[at], step[at] = length + most[at + length], length
    characters, at = [], 0
    while at < len(run):
        if step[at] == 1 and run[at] not in listed:
            characters.append(run[at])
        at += step[at]
    return characters
