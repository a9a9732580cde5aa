"""Claims that no fact supports, or that advertising law forbids whatever the facts.

The lists follow the practice of Article 9 of the Advertising Law of the People's Republic of China (superlatives) and
Articles 16 to 18 (health), and of Annex I of Directive 2005/29/EC (free, scarcity, cures).
"""

import re

from nightmarket.copywriting.facts import Facts
from nightmarket.copywriting.guard.finding import Finding


def _words(english: str, chinese: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{english})\b|{chinese}", re.IGNORECASE)


_GIFT = _words(
    r"free(?:bie|bies)?|gratis|complimentary|no cost|no charge|at no (?:extra )?(?:cost|charge)|on (?:us|"
    r"the house)|gifts?|bonus|"
    r"giveaway|bogo|buy one,? get one|get one|2 ?for ?1|two for one",
    r"免费|白送|白拿|赠|买[^，。]{0,6}送|(?<!配)送(?!货|达)|(?<!\d)[零0]元|礼品|好礼|大礼",
)
_BENEFIT = _words(
    r"free (?:delivery|shipping|returns?)|cash ?back|points?|refunds?|money back|warranty|guarantee[ds]?|prizes?|"
    r"win|winner|lottery|draw|"
    r"membership|loyalty|installments?|interest[- ]free|rebates?",
    r"包邮|免运费|返现|返利|积分|退款|退货|保修|质保|抽奖|中奖|奖品|会员价|分期|免息|红包",
)
_REDUCED = _words(
    r"off|discount(?:s|ed)?|save|saving|savings|sale|reduced|cheaper|price cut|markdown|deals?|bargains?|offers?|"
    r"promo(?:tion)?s?",
    r"折|减|省|优惠|特价|降价|促销|半价",
)
_COUPON = _words(r"coupons?|vouchers?|promo code|code", r"券|优惠码|口令")
_SUPERLATIVE = _words(
    r"(?:the |our |your |very )?best|cheapest|lowest|greatest|finest|largest|biggest|fastest|freshest|healthiest|"
    r"tastiest|no\.? ?1|"
    r"number one|#1|unbeatable|unmatched|unrivalled|unrivaled|ultimate|perfect|world[- ]class|world'?s|only one|"
    r"first ever|once[- ]in[- ]a[- ]lifetime|"
    r"never before|most (?:popular|loved|trusted|delicious|advanced)|top[- ](?:rated|quality|selling|seller)|"
    r"premium quality|exclusive|"
    r"always|everyone|nobody|100 ?percent|absolutely|miracle|revolutionary",
    r"最(?!后一天|后日期|近)|第一|唯一|首个|首选|顶级|顶尖|极品|极致|国家级|世界级|全球级|宇宙级|史上|全网|绝对|完美|独家|王牌|冠军|销量冠|万能|百分百|"
    r"无敌|无双|史无前例|前所未有|空前|领袖|领导品牌|驰名|特供|专供|秒杀全",
)
_HEALTH = _words(
    r"cure[sd]?|heal(?:s|ing)?|treat(?:s|ment)?|prevent(?:s|ion)?|remedy|medicin(?:e|al)|clinically|doctors?|"
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
    r"tonight|tomorrow|now or never|this (?:week|weekend|month)|next week",
    r"最后机会|仅剩|只剩|即将售罄|售罄|抢完|库存|限量|限时|手慢无|秒杀|速抢|赶快|赶紧|错过|今天|今日|今晚|明天|明日|本周|这周|下周|本月|马上抢",
)
_NEW = _words(
    r"new|brand[- ]new|newly|just (?:arrived|in|launched)|launch(?:es|ed)?|latest|introducing",
    r"新品|全新|新上架|上新|首发|新到|刚上市",
)
_INSTRUCTION = _words(
    r"ignore (?:all |any |the )?(?:previous|prior|above)|instructions?|system prompt|as an ai|language model|"
    r"i (?:cannot|can't|am unable)|sure[,!] here|"
    r"here (?:is|are) (?:a|the|your|some)|prompt|assistant|json|facts?",
    r"忽略(?:以上|之前|前面)|指令|提示词|作为(?:一个)?(?:AI|人工智能)|语言模型|无法(?:提供|生成)|以下是",
)


def gifts(text: str, masked: str, facts: Facts) -> list[Finding]:
    """Something free, or a gift, where the offer has none."""
    if facts.offer is not None and facts.offer.gift:
        return [Finding("invented gift", m[0]) for m in re.finditer(r"\bbogo\b|get one|免费", masked, re.IGNORECASE)]
    return _all("invented gift", _GIFT, masked)


def benefits(text: str, masked: str, facts: Facts) -> list[Finding]:
    """Delivery, points, refunds and the like, of which the facts know nothing; a reduction or coupon without one."""
    found = _all("invented benefit", _BENEFIT, masked)
    offer = facts.offer
    if offer is None or (offer.kind != "coupon" and not offer.code):
        found += _all("invented coupon", _COUPON, masked)
    if offer is None or (offer.percent is None and offer.amount is None and offer.kind != "coupon"):
        known = r"\boffers?\b" if offer is not None else r"(?!)"
        found += [
            one for one in _all("invented reduction", _REDUCED, masked) if not re.fullmatch(known, one.what, re.I)
        ]
    return found


def superlatives(text: str, masked: str, facts: Facts) -> list[Finding]:
    """Superlatives and absolute claims."""
    return _all("forbidden superlative", _SUPERLATIVE, masked)


def health(text: str, masked: str, facts: Facts) -> list[Finding]:
    """Effects on health."""
    return _all("health claim", _HEALTH, masked)


def scarcity(text: str, masked: str, facts: Facts) -> list[Finding]:
    """Scarcity and hurry, and days relative to a day of sending that nobody knows."""
    return _all("unsupported urgency", _SCARCITY, masked)


def novelty(text: str, masked: str, facts: Facts) -> list[Finding]:
    """News of a product that is none."""
    return [] if facts.product.is_new else _all("not new", _NEW, masked)


def instructions(text: str, masked: str, facts: Facts) -> list[Finding]:
    """Traces of a prompt: what a model was told, or says of itself."""
    return _all("trace of a prompt", _INSTRUCTION, masked)


def _all(rule: str, pattern: re.Pattern[str], text: str) -> list[Finding]:
    return [Finding(rule, match[0]) for match in pattern.finditer(text)]
