# ruff: noqa: E501  (a Chinese character counts twice)
"""Claims that no fact supports, or that advertising law forbids whatever the facts.

The lists follow the practice of Article 9 of the Advertising Law of the People's Republic of China (superlatives) and
Articles 16 to 18 (health), and of Annex I of Directive 2005/29/EC (free, scarcity, cures).
"""

import re

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.orders import ORDERS
from nightmarket.copywriting.reading import MASK, SENTENCE


def _words(english: str, chinese: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{english})\b|{chinese}", re.IGNORECASE)


_GIFT = _words(
    r"free(?:bie|bies)?|gratis|complimentary|no cost|no charge|at no (?:extra )?(?:cost|charge)|on (?:us|"
    r"the house)|gifts?|bonus|"
    r"giveaway|bogo|buy one,? get one|get one|(?:2|two) for (?:1|one|the price)|take two(?! \w+ off)|throw(?:n|ing)? in|presents?|"
    r"our treat|costs? nothing",
    r"免费|白送|白拿|赠|买[^，。]{0,6}送|(?<!配)送(?!货|达)|(?<![\d.,零〇一二三四五六七八九十百千])[零0]元|礼品|好礼|大礼|礼物|附礼|免单|附带|附上|买[一二两三1-3]得",
)
_OTHER_GIFT = re.compile(
    rf"\bbogo\b|\bget one\b|(?:2|two) for (?:1|one|the price)|\btake two(?! \w+ off)\b|\b(?:throw(?:n|ing)? in|our treat|(?<!as a )(?<!your )(?<!our )presents?)\b|(?<!{MASK} )\bat no (?:extra )?(?:cost|charge)\b|"
    rf"\b(?:costs? nothing|no charge|(?:free|complimentary|bonus)(?= (?!with|when|on|for|if|from|once|until|through|till|"
    rf"gift|at|between|and|in|to|by|of charge)[a-z]))\b"
    rf"|免费|免单|(?<![\d.,零〇一二三四五六七八九十百千])[零0]元|好礼|大礼|(?<!作为)(?<!您的)礼物|附礼|(?<!{MASK})白[送拿]|买[一二两三1-3][得送赠]|(?:附带|附上|(?<!配)(?<!{MASK}白)[送赠])(?!您?{MASK}|[品送赠货达上给出完])",
    re.IGNORECASE,
)
"""What is given beside the gift of an offer: the gift's own name is masked."""
_BENEFIT = _words(
    r"(?:free )?(?:delivery|deliveries|shipping|postage|returns?)|cash ?back|points?|refunds?|money back|warranty|guarantee[ds]?|prizes?|"
    r"win|winner|lottery|draw|"
    r"membership|loyalty|installments?|interest[- ]free|rebates?",
    r"包邮|运费|免邮|返现|返利|积分|退款|退货|保修|质保|抽奖|中奖|奖品|会员价|分期|免息|红包",
)
_REDUCED = _words(
    r"off|discount(?:s|ed)?|save|saving|savings|sale|reduced|cheaper|price cut|markdown|deals?|bargains?|offers?|"
    r"promo(?:tion)?s?",
    r"折|减|省(?!心|事|力)|优惠|特价|降价|促销|半价",
)
_COUPON = _words(r"coupons?|vouchers?|promo code|code", r"券|优惠码|口令")
_CODE = re.compile(r"(?:\b(?i:code|coupon|voucher)s?|[码券])(?i: is)?[:： ]*([A-Z0-9]{3,})")
_SUPERLATIVE = _words(
    r"(?:the |our |your |very )?best|cheapest|lowest|greatest|finest|largest|biggest|fastest|freshest|healthiest|"
    r"tastiest|no\.? ?1|"
    r"number one|#1|unbeatable|unmatched|unrivalled|unrivaled|ultimate|perfect|world[- ]class|world'?s|only one|"
    r"first ever|once[- ]in[- ]a[- ]lifetime|"
    r"never before|most (?:popular|loved|trusted|delicious|advanced)|top[- ](?:rated|quality|selling|seller)|"
    r"premium quality|exclusive|award[- ]winning|never been|second to none|nothing beats|(?:won'?t|cannot|can'?t) (?:find|beat)|"
    r"ever need|anywhere|like no other|incomparable|peerless|"
    r"always|everyone|nobody|100 ?percent|absolutely|miracle|revolutionary",
    r"最(?!后一天|后日期|近)|第一|唯一|首个|首选|顶级|顶尖|极品|极致|国家级|世界级|全球级|宇宙级|史上|全网|绝对|完美|独家|王牌|冠军|销量冠|万能|百分百|"
    r"无与伦比|遥遥领先|领先|独一无二|绝无仅有|史低|底价|无可比拟|首屈一指|之最|举世|骨折|"
    r"无敌|无双|史无前例|前所未有|空前|领袖|领导品牌|驰名|特供|专供|秒杀全",
)
_HEALTH = _words(
    r"cure[sd]?|heal(?:s|ing)?|treat(?! yourself| your|s\b)(?:ment)?|prevent(?:s|ion)?|remedy|medicin(?:e|al)|clinically|doctors?|"
    r"immun(?:e|ity)|detox(?:es)?|"
    r"slimming|weight[- ]?loss|lose weight|fat[- ]burning|burns? fat|anti[- ]?(?:ageing|aging|cancer)|cancer|"
    r"diabet(?:es|ic)|cholesterol|blood (?:pressure|sugar)|"
    r"heart (?:disease|health)|healthy|healthier|good for you|boosts? (?:your )?\w+|energy[- ]boosting|relieves?|"
    r"therapeutic|side effects?",
    r"治疗|治愈|疗效|根治|药效|医用|处方|预防|抗癌|防癌|癌|糖尿病|降血压|降血脂|降血糖|三高|减肥|瘦身|燃脂|排毒|免疫力|抗衰|抗氧化|延年益寿|"
    r"壮阳|补肾|养生|保健|健康|有益|改善睡眠|安神|无副作用|医生推荐",
)
_SCARCITY = _words(
    r"last chance|last one|only (?:a )?few|few left|\w+ left|almost gone|selling (?:out|fast)|sold out|"
    r"while (?:stocks?|supplies) lasts?|limited (?:stock|quantity|time|edition)|"
    r"hurry|act (?:now|fast)|don'?t miss|final hours?|ends? (?:today|tonight|soon|tomorrow)|today(?: only)?|"
    r"tonight|tomorrow|now or never|(?:this|next) (?:week|weekend|month)|one day only|midnight|"
    r"until further notice|all year|every (?:day|week|month)|(?:the )?end of the (?:week|month|year)",
    r"最后机会|仅剩|只剩|即将售罄|售罄|抢完|库存|限量|限时|手慢无|秒杀|速抢|赶快|赶紧|错过|今天|今日|今晚|明天|明日|本周|这周|下周|本月|下个?月|月底|月末|年底|后天|长期|全年|只此一天|零点|马上抢",
)
_NEW = _words(
    r"new|brand[- ]new|newly|just (?:arrived|in|launched)|launch(?:es|ed)?|latest|introducing",
    r"新品|全新|新上架|上新|首发|新到|刚上市",
)


def gifts(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Something free, or a gift, where the offer has none; beside the gift of an offer, a sentence that names another."""
    if facts.offer is None or not facts.offer.gift:
        return _all("invented gift", _GIFT, masked)
    name = folded(facts.offer.gift).lower()
    sentences = [sentence for sentence in SENTENCE.split(text.lower()) if name not in sentence]
    known = facts.names
    broken = [
        violation for sentence in sentences for violation in _all("invented gift", _GIFT, without(sentence, known))
    ]
    return broken + _all("invented gift", _OTHER_GIFT, masked)


def benefits(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Delivery, points, refunds and the like, of which the facts know nothing; a reduction or coupon without one."""
    broken = _all("invented benefit", _BENEFIT, masked)
    broken += [Violation("wrong code", match[1]) for match in _CODE.finditer(masked)]
    offer = facts.offer
    if offer is None or (offer.kind != "coupon" and not offer.code):
        broken += _all("invented coupon", _COUPON, masked)
    if offer is None or (offer.percent is None and offer.amount is None and offer.kind != "coupon"):
        known = r"\boffers?\b" if offer is not None else r"(?!)"
        broken += [
            violation
            for violation in _all("invented reduction", _REDUCED, masked)
            if not re.fullmatch(known, violation.what, re.I)
        ]
    return broken


def superlatives(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Superlatives and absolute claims."""
    return _all("forbidden superlative", _SUPERLATIVE, masked)


def health(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Effects on health."""
    return _all("health claim", _HEALTH, masked)


def scarcity(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Scarcity and hurry, and days relative to a day of sending that nobody knows."""
    broken = _all("unsupported urgency", _SCARCITY, masked)
    return (
        broken if facts.offer is not None else [violation for violation in broken if violation.what.lower() != "today"]
    )


def novelty(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """News of a product that is none."""
    return [] if facts.product.is_new else _all("not new", _NEW, masked)


def instructions(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Traces of a prompt: what a model was told, or says of itself; in a name too, for a name may have come in raw."""
    return _all("trace of a prompt", ORDERS, text)


def _all(rule: str, pattern: re.Pattern[str], text: str) -> list[Violation]:
    return [Violation(rule, match[0]) for match in pattern.finditer(text)]
