"""A third round of texts in a person's manner, written after the second had been measured and before it was opened."""

TRUE: dict[str, tuple[str, ...]] = {
    "en tea": (
        "Pour yourself a cup: tea is 20% off until December 9.",
        "20% off tea, starting December 1 and ending December 9.",
        "Our whole tea shelf, 20% off through Dec 9.",
        "Tea drinkers, this one's for you: 20% off until 12/9.",
        "Get 20% off all teas at Corner Market. Offer valid 12/1 - 12/9.",
    ),
    "en coffee": (
        "Wake up to $5 off coffee, now through December 3!",
        "$5 off coffee. Until Dec 3. Enjoy!",
        "Save 5 dollars on coffee this time, until Dec 3.",
    ),
    "en cheese": (
        "£10 off your cheese shop when you spend £60 or more, until 18 October.",
        "Spend £60+ on cheese & save £10, 5-18 Oct.",
    ),
    "en skincare": (
        "Spend $50 on skincare and we'll take 15% off. Valid until June 30, 2026.",
        "15% off skincare purchases of $50 or more, through the end of June.",
    ),
    "en candles": (
        "Buy $40 of candles and receive a free tote bag! Offer ends Feb 14.",
        "Light up your evening: free tote bag when you spend $40 on candles, until Feb 14.",
    ),
    "en notebooks": (
        "Free enamel pin when you buy notebooks. Hurry in by Sept 15!",
        "Buy a notebook, get a free enamel pin. Sept 1 - Sept 15.",
        "Love writing? Get a free enamel pin with notebooks until Sept 15.",
    ),
    "en headphones": (
        "Enter SPARK25 at checkout for 25% off headphones. Expires Nov 30.",
        "Headphones on your list? SPARK25 takes 25% off until Nov 30.",
    ),
    "en cookware": (
        "Spend €75 or more on cookware and get €8 off with code PAN8. Offer ends 28 March 2027.",
        "Code PAN8: €8 off when you spend €75 on cookware. Valid 12–28 March.",
    ),
    "en scarves": (
        "Cold outside? Scarves are half price until Dec 31.",
        "Get half off any scarf through December 31.",
    ),
    "en cookies": (
        "Say hello to Oat cookies, new from Milton: $4.50.",
        "Oat cookies. New. $4.50. At Corner Market.",
    ),
    "zh tea": (
        "绿茶八折优惠，限12月1日至12月9日。",
        "绿茶8折啦，12月9号前下单都有效。",
        "想喝绿茶？现在八折，截至12月9日。",
    ),
    "zh coffee": ("咖啡直减5元，活动到12月3号。", "每天一杯咖啡，现在立减5元，12月3日止。"),
    "zh hundred": ("绿茶满100元减20元，活动至2026年12月9日。", "买绿茶，满一百减二十！12月9日截止"),
    "zh cream": ("面霜满199元享受85折，截至6月30日。", "面霜满199，立享八五折，6月30号结束"),
    "zh candles": ("购香薰蜡烛满99元，赠帆布袋一个，截至2月14日。", "香薰蜡烛满99元就送帆布袋，2月14日止"),
    "zh headphones": ("下单输入SPARK25，耳机享75折，截至11月30日。", "耳机享七五折，优惠码是SPARK25，11月30日止"),
    "zh scarves": ("围巾5折优惠，12月31日截止。", "全部围巾半价，只到12月31日"),
}
FALSE: dict[str, tuple[str, ...]] = {
    "en tea": (
        "Green tea and other drinks 20% off until Dec 9.",
        "Get as much as 20% off teas until Dec 9.",
        "20% off tea, and it gets better: 30% after Dec 9.",
        "From Dec 9: 20% off tea.",
        "20% off tea until Dec 9, weekdays only.",
    ),
    "en headphones": (
        "25% off headphones, SPARK25 optional, until Nov 30.",
        "Headphones from 25% off with SPARK25 until Nov 30.",
    ),
    "en cheese": (
        "Save £10 or more when you spend £60 on cheese, until 18 Oct.",
        "Spend £60 on cheese, get £10 off plus a free knife, until 18 Oct.",
    ),
    "zh tea": ("绿茶全场八折起，12月9日止。", "绿茶八折，最后三天，12月9日止。", "绿茶八折，学生专享，12月9日止。"),
    "zh hundred": ("绿茶满100减20，最高减100，12月9日止。", "绿茶满100最多减20，12月9日止。"),
}
