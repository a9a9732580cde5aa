# ruff: noqa: E501  (a Chinese character counts twice)
"""A second round of texts in a person's manner, written after the first had been opened and before it was learned from."""

TRUE: dict[str, tuple[str, ...]] = {
    "en tea": (
        "Tea time! Everything tea is 20% off until Dec 9.",
        "Dec 1-9: all tea 20% off.",
        "Kettle on? Our tea is 20% off through Wednesday, Dec 9.",
        "We've got 20% off tea for you. Ends 12/9/26.",
        "Stock your cupboard: tea, 20% off, now till December 9th!",
        "Hi! Quick note: 20% off tea ends on Dec 9.",
    ),
    "en coffee": (
        "Take $5 off any coffee until Dec 3, 2026.",
        "$5 off coffee at Corner Market - from Nov 20 through Dec 3",
        "Your morning cup for less: $5 off coffee, thru Dec 3.",
        "Five bucks off coffee! Last day Thursday, Dec 3.",
    ),
    "en cheese": (
        "Spend £60 on cheese, pay £10 less. 5 Oct to 18 Oct.",
        "£10 off cheese with a £60 spend, ends 18/10.",
        "Planning a cheese board? Get £10 off when you spend £60. Until Sunday, 18 October.",
    ),
    "en skincare": (
        "Save 15% when you spend $50+ on skincare. June 1-30.",
        "15% off your skincare when your basket reaches $50, until June 30.",
        "Glow up: 15% off skincare over $50 until the end of June.",
    ),
    "en candles": (
        "Get a tote bag free when you buy $40 of candles, until Feb 14!",
        "Spend $40 on candles, take home a free tote bag. Feb 1 to 14.",
        "Free tote bag! Just spend $40 on candles by Feb 14.",
    ),
    "en notebooks": (
        "Notebooks come with a free enamel pin until Sept 15.",
        "Pick any notebook and get an enamel pin free, through Sept 15.",
        "A free enamel pin with your notebooks - ends 9/15.",
    ),
    "en headphones": (
        "25% OFF headphones! Code: SPARK25. Ends 11/30.",
        "Your code SPARK25 is good for 25% off headphones until Nov 30.",
        "Press play: 25% off all headphones w/ code SPARK25, now through Nov 30.",
    ),
    "en cookware": (
        "Save €8 on cookware over €75 with code PAN8. Until 28 March.",
        "€8 off your cookware. Code: PAN8. Minimum spend: €75. Ends 28 March.",
        "Cook more for less! €8 off cookware when you spend €75, code PAN8, till 28/3.",
    ),
    "en scarves": (
        "Stay warm: all scarves half price until Dec 31!",
        "Half-price scarves, Dec 27 to Dec 31.",
        "Every scarf is 50% off. Ends Dec 31.",
    ),
    "en cookies": (
        "Just landed: Oat cookies, $4.50.",
        "Try our new Oat cookies. Only $4.50 at Corner Market.",
        "Oat cookies have arrived at Corner Market!",
    ),
    "zh tea": (
        "绿茶8折优惠中，12月9日结束！",
        "好消息！即日起到12月9日绿茶八折～",
        "12月1日起至12月9日，绿茶全部八折。",
        "绿茶打8折，活动截止到12月9日（周三）。",
        "绿茶8折！截止日期：2026-12-09",
        "来街角超市买绿茶，统统八折，12月9日截止。",
    ),
    "zh coffee": (
        "咖啡减5元！12月3日截止。",
        "咖啡一律优惠五元，到12月3日。",
        "爱喝咖啡的您，咖啡立减5元，12月3日前有效。",
        "咖啡省5块，11.20-12.3",
    ),
    "zh hundred": (
        "绿茶满100元立减20元，12月1日至9日。",
        "囤绿茶啦！满100减20，截至12月9日。",
        "绿茶消费满一百减二十，活动截止12月9日",
    ),
    "zh cream": (
        "面霜满199元享85折优惠，6月1日-30日。",
        "面霜买满199打85折，6月30日截止",
        "六月专享：面霜满199元，85折，6月30日止",
    ),
    "zh candles": (
        "香薰蜡烛满99元即送帆布袋，2月14日截止。",
        "买香薰蜡烛满99，送您一个帆布袋，2月14日前",
        "帆布袋免费送：香薰蜡烛满99元，2月1日至14日",
    ),
    "zh notebooks": (
        "买笔记本就送钥匙扣！9月15日截止。",
        "笔记本买就送钥匙扣，活动到9月15日",
        "新学期好，买笔记本送钥匙扣，9/1-9/15",
    ),
    "zh headphones": (
        "耳机75折，输码SPARK25，11月30日截止",
        "用SPARK25买耳机，立享75折，11月23日至11月30日",
        "耳机七五折！优惠码SPARK25，到11月30日。",
    ),
    "zh cookware": (
        "厨具满300立减50元，使用优惠码PAN50，3月28日截止。",
        "厨具满300减50！码：PAN50，截至3月28日",
        "下单填PAN50，厨具满300减50元，3月28日结束",
    ),
    "zh scarves": (
        "围巾全部半价，12月31日截止！",
        "围巾五折啦～12月27日至12月31日",
        "冬天来了，围巾5折，12月31日止",
    ),
    "zh cookies": (
        "新品燕麦饼干，18.5元。",
        "燕麦饼干上新啦，18.5元，街角超市见",
        "米尔顿新品：燕麦饼干，只要18.5元",
    ),
}
FALSE: dict[str, tuple[str, ...]] = {
    "en tea": (
        "Tea from as little as $10 with up to 20% off until Dec 9.",
        "20% off most tea until Dec 9.",
        "Up to a fifth off all tea until Dec 9!",
        "20% off tea, today through Dec 9 or until gone.",
        "20% off tea every Wednesday until Dec 9.",
        "All drinks 20% off until Dec 9, tea included.",
    ),
    "en coffee": (
        "Coffee $5 until Dec 3!",
        "Get up to five bucks off coffee until Dec 3.",
        "$5 off coffee until Dec 3 for loyal customers.",
        "$5 off coffee until Dec 13.",
    ),
    "en cheese": (
        "£10 off for every £60 spent on cheese until 18 October.",
        "Spend £60 on cheese and get a free £10 voucher until 18 Oct.",
        "£10 off cheese, no minimum, until 18 Oct.",
    ),
    "en candles": (
        "Buy a candle, get a free tote bag until Feb 14.",
        "Free tote bag or 10% off with $40 of candles until Feb 14.",
        "Spend $40 on candles and get tote bags for the whole family until Feb 14.",
    ),
    "en headphones": (
        "Extra 25% off headphones with SPARK25 until Nov 30.",
        "25% off headphones and speakers with SPARK25 until Nov 30.",
        "SPARK25: 25% off headphones, today only, Nov 30.",
    ),
    "en scarves": (
        "Scarves: half price or less until Dec 31.",
        "Buy two scarves, half price, until Dec 31.",
        "Scarves from half price until Dec 31.",
    ),
    "zh tea": (
        "绿茶全线低至8折，12月9日止。",
        "绿茶8折起，即日起至12月9日。",
        "绿茶八折，仅限今天，12月9日止。",
        "茶饮八折，绿茶也参加，12月9日止。",
        "绿茶满两件八折，12月9日止。",
        "绿茶八折，老顾客再减5元，12月9日止。",
    ),
    "zh coffee": (
        "咖啡5元一杯，12月3日止。",
        "咖啡最高立减5元，12月3日止。",
        "咖啡立减5元，不限次数，12月3日止。",
        "咖啡立减5元，12月13日止。",
    ),
    "zh candles": (
        "买香薰蜡烛就送帆布袋，2月14日止。",
        "香薰蜡烛满99元送帆布袋，先到先得，2月14日止。",
        "香薰蜡烛满99元送精美帆布袋礼盒，2月14日止。",
    ),
    "zh headphones": (
        "耳机75折起，优惠码SPARK25，11月30日止。",
        "耳机全场75折，配件也可，码SPARK25，11月30日止。",
        "耳机75折，优惠码SPARK25，11月30日零点止。",
    ),
}
