# ruff: noqa: E501  (a Chinese character counts twice)
"""False texts that were written apart from the guard: invented sentences, and true ones of another offer.

{w}: an amount or number that stands in no fact, {d}: a day that is not the offer's, {g}: a gift that is not given, {k}: the
product's kind, {o}: a product that is not meant. Every sentence states what no fact says.
"""

from dataclasses import replace
from datetime import timedelta
from random import Random

from bench.guarding.blind_true import draw_blind, say, signature
from bench.guarding.catalogue import CODES, GIFTS, products
from bench.guarding.true_texts import Drawn, Message, chinese_day, english_day
from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, Locale

EN: dict[str, tuple[str, ...]] = {
    "price": (
        "A steal at {m}.", "All in, you pay under {m}.", "You'd normally pay double.", "It costs next to nothing.", "We match any price you find.",
        "Same price as last year.", "Cheaper than the shop down the road.", "It pays for itself in a month.", "Worth every one of its {w} dollars.",
    ),
    "share": (
        "And a further {w}% when you buy two.", "That is almost two thirds gone.", "Buy one, get one half price.", "Two for one, of course.",
        "Take three, pay for two.", "The more you buy, the more you save.", "Pick any four for the price of three.", "It's double the discount.",
    ),
    "days": (
        "Extended by popular demand.", "It runs all week long.", "Doors open at 8 sharp.", "You have {w} days left.", "It starts next Monday.",
        "Again every month.", "All the way to Christmas.", "Come by between noon and two.", "Make sure you're in before {d}.", "It has been running since spring.",
    ),
    "terms": (
        "There's no minimum spend.", "You don't need a code.", "It's valid on everything in store.", "It stacks with your other vouchers.", "It's for members only.",
        "One per household.", "Online only.", "In all of our branches.", "Only on your first order.", "No strings attached.", "Sale items are excluded.",
        "Just show this message at the till.", "Download the app to redeem it.", "{o} is part of it too.",
    ),
    "gifts": (
        "And we'll throw in a {g}.", "The second one is on us.", "We pay the postage.", "It comes gift-wrapped.", "You'll earn triple points.",
        "You could win a weekend away.", "There's a surprise in every box.", "Love it or get your money back.", "It comes with a two-year warranty.",
        "Try a taster at the counter.", "We'll bring it to your door by tonight.", "Expect a little something extra in your bag.",
    ),
    "superlatives": (
        "Nobody does {k} better.", "You won't find better anywhere.", "It's simply unbeatable.", "The only {k} you'll ever need.", "It's in a class of its own.",
        "It's the nation's pick.", "It is second to none.", "Nothing else comes close.", "It leaves the rest behind.", "Perfection, plain and simple.",
    ),
    "praise": (
        "Our customers can't stop talking about it.", "Thousands swear by it.", "It's rated 4.8 out of 5.", "Everyone who tried it came back for more.",
        "Reviewers rave about its taste.", "It's a firm favourite with families.", "People praise it for freshness.", "It is flying off the shelves.",
        "Chefs reach for it.", "Your neighbours love it.",
    ),
    "health": (
        "Good for your heart.", "It helps you sleep.", "Keeps the sniffles away.", "It's kind to sensitive skin.", "It's packed with vitamins.",
        "It gives you energy all day.", "Your tummy will thank you.", "A light choice for your waistline.", "Feel years younger.",
    ),
    "features": (
        "It's organic and fair trade.", "It's made by hand in Portugal.", "It now comes in a bigger pack.", "It contains no added sugar.", "Ready in five minutes.",
        "It's vegan.", "The recipe is new.", "It comes in four colours.", "It won an award in Paris.", "It lasts twice as long.", "It's made from recycled bottles.",
        "Grown on a small family farm.",
    ),
    "urgency": (
        "Only a few are left.", "They're going fast.", "Don't let it slip away.", "Blink and you'll miss it.", "Grab yours before somebody else does.",
    ),
    "leaks": (
        "Hi Sarah, this one's for you.", "You bought nappies last month.", "We noticed you haven't visited since Tuesday.", "Since you live nearby, drop in.",
        "Your balance is {w} points.", "Our records show you like a bargain.", "As a shopper in segment 3, you get it first.", "You've spent {w} dollars with us this year.",
        "Ask for Peter at the desk.",
    ),
    "traces": (
        "(58 characters)", "Option 2: the same, but shorter.", "I hope this helps!", "Let me know if you'd like changes.", "This text follows all the guidelines.",
        "Based on the data provided, this is the offer.", "Tone: friendly.", "Click below.", "Call 555 0199.", "Scan the code on the shelf.", "Get XX off.",
        "Dear [name], enjoy.", "Follow us on Instagram.", "Word count: 24.",
    ),
    "ordinary words": (
        "You pay nothing at the till.", "It also applies to your next order.", "It holds for your friends too.", "The price goes down after each visit.",
        "You can use it on whatever you like.", "It comes with a card for your next visit.", "We bring it to your house.", "Pay for it later.",
        "You can also get it without that.", "Bring a friend and save on that order too.", "Pick up another voucher at the till.", "The offer starts again soon.",
        "It usually costs a lot more.", "The price goes up soon.", "Customers buy it again and again.", "Our customers like it.", "Customers say it is good.",
        "It lasts and lasts.", "It is lighter than before.", "It is quick to make.", "It fits in any bag.", "It is ready to serve.", "It keeps your house warm.",
        "It is sweet and gentle.", "Good for kids.", "You save on the whole basket.", "We are open in the evening too.", "Other shops ask for more.",
        "The price is lower than before.", "Enter the code as often as you like.", "You get it at cost.", "It pays you back later.", "You can change it for something else.",
        "It is right for garden parties.", "The same goes for your next visit.", "It works in the freezer.", "It also holds after that day.", "We add something on top.",
        "It helps you save on your bills.", "You get more for your money.",
    ),
}  # fmt: skip
ZH: dict[str, tuple[str, ...]] = {
    "price": (
        "才{w}元，真划算。", "加起来不到{w}块。", "平时要花双倍的钱。", "几乎不花钱。", "别处更低我们补差价。", "跟去年一个价。", "比隔壁超市便宜。", "一天只要几毛钱。", "价格腰斩。",
    ),
    "share": (
        "买两件再减{w}%。", "差不多省了三分之二。", "第二件半价。", "买一得二。", "三件只付两件的钱。", "买得越多省得越多。", "折上再折。", "优惠翻倍。",
    ),
    "days": (
        "应大家要求再延几天。", "整个星期都有。", "早上8点开门就能买。", "还剩{w}天。", "下周一才开始。", "每个月都有这样的活动。", "一直到春节。", "中午十二点到两点来。", "{d}以前下单。", "从春天一直办到现在。",
    ),
    "terms": (
        "没有最低消费。", "不用输码。", "全场都能用。", "可以和别的券叠加。", "会员才有。", "每户限一份。", "仅限网上。", "所有门店通用。", "首单才能用。", "没有任何附加条件。", "特价商品除外。",
        "结账时出示这条短信就行。", "下载APP才能领。", "{o}也在活动里。",
    ),
    "gifts": (
        "另外再拿一个{g}。", "第二份算我们的。", "邮费我们出。", "还有精美包装。", "积分三倍。", "有机会去海边玩一趟。", "每盒都有小惊喜。", "不满意就退款。", "两年内坏了包换。", "柜台可以试吃。",
        "今晚就送到家门口。", "包里再塞一点小东西给您。",
    ),
    "superlatives": (
        "没有谁家的{k}比得上。", "别处找不到更好的。", "无可匹敌。", "有这一款{k}就够了，别的都不用买。", "独一档的存在。", "国民之选。", "不输任何大牌。", "其他的都差远了。", "甩开同类一大截。", "完美得没话说。",
    ),
    "praise": (
        "顾客都赞不绝口。", "几千人都说好。", "评分4.8。", "买过的人都回头再买。", "大家都夸它味道好。", "全家人都爱。", "因新鲜受到好评。", "卖得飞快。", "大厨也在用。", "街坊邻居都说好。",
    ),
    "health": (
        "对心脏好。", "睡得更香。", "少感冒。", "敏感肌也放心。", "富含维生素。", "一整天都有精神。", "肠胃会感谢您。", "怎么吃都不胖。", "年轻好几岁。",
    ),
    "features": (
        "有机种植，公平贸易。", "葡萄牙手工制作。", "现在是加大装。", "不添加蔗糖。", "五分钟就能做好。", "纯素。", "换了新配方。", "四种颜色可选。", "在巴黎得过奖。", "用得比别的久一倍。", "用回收瓶子做的。", "来自家庭小农场。",
    ),
    "urgency": (
        "只剩几份了。", "很快就没了。", "别让它溜走。", "一眨眼就没了。", "趁别人还没买走。",
    ),
    "leaks": (
        "王女士，这是给您的。", "您上个月买过尿布。", "您周二以后就没来过。", "您住得近，顺路来拿。", "您还有{w}积分。", "系统显示您喜欢便宜货。", "您属于第3组顾客。", "您今年在我们这花了{w}元。", "到前台找小李。",
    ),
    "traces": (
        "（共38字）", "版本二：更短一些。", "希望对您有帮助！", "如需修改请告诉我。", "以上内容符合全部规则。", "根据所给数据，优惠如下。", "语气：亲切。", "点击下方。", "致电55501999。", "扫描货架上的二维码。", "立减XX。",
        "尊敬的【姓名】，请享用。", "关注我们的公众号。", "字数：24。",
    ),
    "ordinary words": (
        "下次还能用。", "我们送到家里。", "带朋友来，朋友也减。", "先拿回家，下个月付款。", "顾客都喜欢。", "顾客常来买。", "平时价格高很多。", "价格快要上调了。", "家里人也可用。", "一份够用一年。",
        "早上来一份，一天有好心情。", "买一份，下次不用付。", "店里商品一律可用。", "别的订单也可减。", "晚上十点前到店。", "喜欢再付款。", "礼品到店领。", "用码更便宜。", "不填也可以。", "购物车里的都减。",
        "朋友也有一份。", "到店可以尝尝。", "用起来省力。", "口味好。", "活动后还有。", "过期也可用。", "一直有效。", "下单就有礼。", "客厅卧室都适用。", "放冰箱可以放一年。", "早餐午餐晚餐都合适。", "为您省下生活费。",
        "结账时还可减。", "换别的商品也可以。", "随时可以换。", "顾客说好。", "带走不用付款。", "可以下次付。", "价格便宜了不少。", "送您一次旅行。",
    ),
}  # fmt: skip
SENTENCES: dict[Locale, dict[str, tuple[str, ...]]] = {"en": EN, "zh": ZH}
Planted = tuple[str, CopyFacts, Message, str]


def invented(locale: Locale, carriers: list[Drawn], times: int, seed: int) -> list[Planted]:
    """(kind, facts, texts, sentence): every sentence after `times` of the carriers, true texts that the guard lets pass."""
    planted = []
    for kind, sentences in SENTENCES[locale].items():
        for sentence in sentences:
            draw = Random(f"{seed}|{locale}|{sentence}|invented")
            for _ in range(times):
                drawn = draw.choice(carriers)
                filled = sentence.format(**_wrong(drawn.facts, draw))
                planted.append((kind, drawn.facts, _after(drawn.texts, filled, drawn.facts), sentence))
    return planted


def misstated(locale: Locale, times: int, seed: int) -> list[Planted]:
    """(kind, facts, texts, what changed): every true pattern `times` times said of facts with one term changed."""
    planted = []
    for need, drawn in draw_blind(locale, times, seed):
        if drawn.facts.offer is None:
            continue
        for kind, facts in changed(drawn.facts, Random(drawn.wording + "changed")).items():
            texts = say(facts, need, drawn.frame, drawn.wording)
            if list(texts.values())[-1] != list(drawn.texts.values())[-1]:
                planted.append((kind, drawn.facts, texts, f"{need} {drawn.frame}"))
    return planted


def changed(facts: CopyFacts, draw: Random) -> dict[str, CopyFacts]:
    """The facts with one term changed each, by what it is."""
    offer = facts.offer
    assert offer is not None
    other = draw.choice([product for product in products(facts.locale) if not _alike(product.name, facts)])
    end = offer.end + timedelta(draw.choice((-1, 1, 2, 7, 30)))
    ways = {
        "last day": replace(facts, offer=replace(offer, end=end)),
        "what it applies to": replace(facts, offer=replace(offer, scope=other.name)),
        "first day": replace(facts, offer=replace(offer, start=offer.start - timedelta(draw.choice((1, 2, 5))))),
    }
    if offer.percent:
        percent = draw.choice([share for share in (5, 10, 20, 30, 40, 60, 70) if share != offer.percent])
        ways["percentage"] = replace(facts, offer=replace(offer, percent=float(percent)))
    if offer.amount:
        ways["amount"] = replace(facts, offer=replace(offer, amount=offer.amount + draw.choice((1, 3, 10))))
    if offer.threshold:
        ways["least spend"] = replace(
            facts, offer=replace(offer, threshold=offer.threshold + draw.choice((-9, 10, 50)))
        )
    if offer.gift:
        gift = draw.choice([present for present in GIFTS[facts.locale] if present != offer.gift])
        ways["gift"] = replace(facts, offer=replace(offer, gift=gift))
    if offer.code:
        code = draw.choice([known for known in CODES if known != offer.code])
        ways["code"] = replace(facts, offer=replace(offer, code=code))
    return {kind: way for kind, way in ways.items() if signature(way) == signature(facts)}


def _wrong(facts: CopyFacts, draw: Random) -> dict[str, str]:
    offer, english = facts.offer, facts.locale == "en"
    assert offer is not None
    own = {offer.percent, offer.amount, offer.threshold, facts.product.price, offer.start.day, offer.end.day}
    number = draw.choice([value for value in (6, 9, 13, 17, 23, 33, 47, 85, 140) if value not in own])
    day = offer.end + timedelta(draw.choice((3, 9, 40)))
    told = english_day(day, draw, weekday=False) if english else chinese_day(day, draw, weekday=False)
    other = draw.choice([product for product in products(facts.locale) if not _alike(product.name, facts)])
    gift = draw.choice([present for present in GIFTS[facts.locale] if present != offer.gift])
    money = f"{facts.symbol}{number}"
    return {"w": str(number), "m": money, "d": told, "g": gift, "k": facts.product.category, "o": other.name}


def _alike(name: str, facts: CopyFacts) -> bool:
    known = " ".join(facts.names)
    words = name.lower().split() if facts.locale == "en" else [name[at : at + 2] for at in range(len(name) - 1)]
    return any(word in known.lower() for word in words)


def _after(texts: Message, sentence: str, facts: CopyFacts) -> Message:
    form = list(texts)[-1]
    text = texts[form].rstrip() + (" " if facts.locale == "en" else "") + sentence
    if len(text) <= LIMITS[form]:
        return {**texts, form: text}
    forms: tuple[Form, ...] = ("push", "sms")
    fitting = [short for short in forms if len(text) <= LIMITS[short] and "subject" not in texts]
    return {fitting[0]: text} if fitting else {"subject": facts.shop, "body": text}
