# ruff: noqa: E501  (a Chinese character counts twice)
"""A made-up catalogue in English and in Chinese, and facts drawn from it."""

from datetime import date, timedelta
from random import Random

from nightmarket.copywriting.facts import CopyFacts, CopyOffer, Kind, Locale, Product

EN_BRANDS = (
    "Larkfield", "Bluefin", "Harrow & Pine", "Tavisham", "Ostrava Mills", "Café Lumen", "Wrenhouse", "Pebbleby",
    "Norvane", "O'Dellan's", "Quillmere", "Saltbarn", "Thornwick", "Ullswood", "Vellamo", "Yarrowby", "Zennor",
    "Brackenfold", "Cindermoor", "Dunlea", "Elmsworthy", "Foxglen", "Hazelmead", "Kestrel Row",
)  # fmt: skip
ZH_BRANDS = (
    "云岭", "金穗", "青禾坊", "海棠里", "北坡", "松间", "谷雨堂", "鹿溪", "南屿", "半山小厨", "晨露", "禾木", "沐光", "岚山",
    "竹里馆", "知味斋", "橙果园", "蓝鲸", "白桦", "暖石", "星野", "木槿", "泉城", "悦丰",
)  # fmt: skip
EN_KINDS = {
    "coffee": ("Dark roast coffee", "Ground espresso blend", "Decaf filter coffee", "Cold brew concentrate",
               "House blend beans", "Instant coffee sachets"),
    "tea": ("Jasmine green tea", "Earl Grey leaves", "Rooibos tea bags", "Peppermint infusion", "Oolong loose leaf",
            "Chamomile tea"),
    "shampoo": ("Argan oil shampoo", "Oat milk shampoo", "Anti-frizz shampoo", "Mint scalp shampoo",
                "Kids foam shampoo", "Volume shampoo 400 ml"),
    "towels": ("Waffle bath towel", "Bamboo hand towels", "Striped beach towel", "Cotton guest towel", "Gym towel",
               "Hooded baby towel"),
    "running shoes": ("Trail runner 2", "Road racer shoe", "Cushion stride shoe", "Lightweight mesh trainer",
                      "Winter grip runner", "Junior sprint shoe"),
    "headphones": ("Studio over-ear headphones", "Pocket earbuds", "Noise reducing headset", "Sport neckband",
                   "Kids wired headphones", "Open-back headphones"),
    "cookware": ("Cast iron skillet", "Copper saucepan", "Steel stockpot 5 l", "Ceramic frying pan", "Griddle plate",
                 "Enamel casserole"),
    "candles": ("Cedar soy candle", "Fig jar candle", "Beeswax pillars", "Sea salt tealights", "Amber travel candle",
                "Linen votive"),
    "notebooks": ("Dotted notebook A5", "Leather journal", "Weekly planner", "Sketch pad", "Pocket notebook trio",
                  "Recycled paper jotter"),
    "cereal": ("Oat crunch granola", "Honey wheat flakes", "Berry muesli", "Cocoa rice puffs", "Bran clusters",
               "Overnight oats mix"),
    "pet food": ("Salmon cat pouches", "Chicken dog kibble", "Puppy starter mix", "Senior cat biscuits",
                 "Lamb dog treats", "Tuna cat mousse"),
    "backpacks": ("Roll-top backpack", "Canvas daypack", "Laptop rucksack 20 l", "Hiking pack", "Mini backpack",
                  "School satchel"),
    "skincare": ("Rose face cream", "Daily moisturiser", "Clay mask", "Vitamin serum", "Hand balm", "Gel cleanser"),
    "chocolate": ("Sea salt dark chocolate", "Hazelnut praline bar", "Milk chocolate buttons", "Orange truffles",
                  "Cocoa nib bar", "White chocolate bark"),
    "bedding": ("Linen duvet cover", "Cotton fitted sheet", "Feather pillow", "Quilted throw", "Flannel pillowcases",
                "Wool blanket"),
    "lamps": ("Brass desk lamp", "Paper floor lamp", "Clip reading light", "Dimmable bedside lamp", "Rattan pendant",
              "Arc floor lamp"),
    "toys": ("Wooden train set", "Stacking rings", "Marble run", "Plush rabbit", "Building blocks", "Puzzle cube"),
    "jam": ("Raspberry jam", "Fig preserve", "Seville marmalade", "Apricot spread", "Blackcurrant jelly", "Plum jam"),
    "pasta": ("Bronze-cut penne", "Spelt spaghetti", "Egg tagliatelle", "Spinach fusilli", "Lentil rigatoni", "Orzo"),
    "yoga mats": ("Cork yoga mat", "Foldable travel mat", "Extra thick mat", "Natural rubber mat", "Printed yoga mat",
                  "Beginner mat set"),
    "olive oil": ("Early harvest olive oil", "Lemon olive oil", "Garlic olive oil", "Organic olive oil",
                  "Mild olive oil", "Cooking spray oil"),
    "mugs": ("Stoneware mug", "Speckled cup", "Double-wall glass", "Travel tumbler", "Enamel camping mug",
             "Tall latte glass"),
    "socks": ("Merino crew socks", "Ankle socks pack", "Hiking socks", "Bed socks", "Compression socks",
              "Cotton dress socks"),
    "detergent": ("Laundry gel", "Colour care powder", "Dish tablets", "Fabric softener", "Wool wash", "Stain remover"),
    "biscuits": ("Ginger snaps", "Oat biscuits", "Butter shortbread", "Cheese crackers", "Lemon thins",
                 "Chocolate digestives"),
}  # fmt: skip
ZH_KINDS = {
    "牛奶": ("有机纯牛奶", "脱脂高钙奶", "草莓味牛奶", "儿童早餐奶", "鲜牛乳", "燕麦奶"),
    "大米": ("东北大米", "五常稻花香", "泰式香米", "糙米", "胚芽米", "有机小米"),
    "茶叶": ("明前龙井", "茉莉花茶", "铁观音", "陈皮白茶", "桂花乌龙", "大红袍"),
    "洗发水": ("生姜洗发水", "氨基酸洗发露", "控油洗发水", "柔顺洗发乳", "儿童洗发水", "薄荷洗发露"),
    "毛巾": ("竹纤维毛巾", "纯棉浴巾", "运动速干巾", "婴儿方巾", "条纹面巾", "蜂窝浴巾"),
    "运动鞋": ("轻便跑鞋", "缓震跑步鞋", "越野跑鞋", "网面休闲鞋", "儿童运动鞋", "防滑健步鞋"),
    "耳机": ("头戴式耳机", "入耳式耳机", "降噪蓝牙耳机", "运动挂耳耳机", "游戏耳麦", "骨传导耳机"),
    "锅具": ("铸铁煎锅", "不粘炒锅", "砂锅", "珐琅汤锅", "电热火锅", "麦饭石平底锅"),
    "香薰": ("雪松香薰蜡烛", "无火香薰", "檀香线香", "车载香薰", "白茶香薰", "薰衣草精油"),
    "文具": ("点阵笔记本", "皮面手账", "周计划本", "中性笔套装", "素描本", "彩色便签"),
    "坚果": ("每日坚果", "盐焗腰果", "奶油味夏威夷果", "炭烧巴旦木", "原味核桃", "开心果仁"),
    "猫粮": ("三文鱼猫粮", "鸡肉猫罐头", "幼猫奶糕", "冻干猫零食", "全价猫粮", "猫条"),
    "背包": ("帆布双肩包", "电脑背包", "登山包", "学生书包", "迷你双肩包", "折叠旅行包"),
    "护肤": ("玫瑰面霜", "玻尿酸精华", "清洁泥膜", "保湿乳液", "护手霜", "氨基酸洁面"),
    "巧克力": ("海盐黑巧", "榛子巧克力", "牛奶巧克力豆", "松露巧克力", "可可碎", "白巧克力"),
    "床品": ("亚麻被套", "纯棉床笠", "鹅绒枕", "绗缝盖毯", "磨毛枕套", "羊毛毯"),
    "台灯": ("黄铜台灯", "护眼台灯", "夹式阅读灯", "床头夜灯", "藤编吊灯", "落地灯"),
    "玩具": ("木制火车", "叠叠乐", "弹珠轨道", "毛绒兔", "拼插积木", "益智魔方"),
    "果酱": ("树莓果酱", "无花果酱", "橙皮果酱", "杏子酱", "蓝莓果酱", "山楂酱"),
    "面条": ("手工挂面", "荞麦面", "鸡蛋面", "刀削面", "凉皮", "意大利面"),
    "瑜伽垫": ("软木瑜伽垫", "折叠瑜伽垫", "加厚瑜伽垫", "橡胶瑜伽垫", "印花瑜伽垫", "初学者套垫"),
    "食用油": ("冷榨菜籽油", "花生油", "山茶油", "橄榄油", "葵花籽油", "芝麻香油"),
    "杯子": ("粗陶马克杯", "保温杯", "双层玻璃杯", "随行杯", "搪瓷杯", "茶漏杯"),
    "袜子": ("羊毛中筒袜", "船袜", "徒步袜", "地板袜", "压力袜", "商务棉袜"),
    "饼干": ("姜饼", "燕麦饼干", "黄油酥饼", "芝士薄饼", "柠檬薄脆", "苏打饼干"),
}
SHOPS: dict[Locale, tuple[str, ...]] = {
    "en": ("Corner Market", "Northgate Stores", "The Daily Pantry", "Brookside", "Penny Lane Goods"),
    "zh": ("街角超市", "邻里优选", "小满生活馆", "百味铺", "云杉商城"),
}
GIFTS: dict[Locale, tuple[str, ...]] = {
    "en": ("tote bag", "sample box", "water bottle", "recipe booklet", "enamel pin", "keyring"),
    "zh": ("帆布袋", "试用装", "玻璃水壶", "食谱手册", "钥匙扣", "冰箱贴"),
}
CODES = ("SAVE20", "TEA2024", "HELLO", "NIGHT15", "MARKET7", "AUTUMN", "XK4P", "WEEKEND8", "GOLD99", "FRESH")
KINDS: tuple[Kind, ...] = ("discount", "threshold", "gift", "coupon")


def products(locale: Locale) -> list[Product]:
    """150 products: every kind with six names, the brands in turn; prices are drawn with the facts."""
    kinds, brands = (EN_KINDS, EN_BRANDS) if locale == "en" else (ZH_KINDS, ZH_BRANDS)
    names = [(name, kind) for kind, of in kinds.items() for name in of]
    return [Product(name, brands[at * 7 % len(brands)], kind) for at, (name, kind) in enumerate(names)]


def names() -> list[str]:
    """All that is for sale in either language: products, brands, kinds."""
    both = [*products("en"), *products("zh")]
    return sorted({name for product in both for name in (product.name, product.brand, product.category)})


def draw_facts(locale: Locale, draw: Random, *, offer: bool = True) -> CopyFacts:
    """Facts of one product, with an offer of three to thirty days in 2024 or 2025."""
    sold = draw.choice(products(locale))
    price = draw.choice((draw.randint(3, 300) - 0.01, draw.randint(3, 300) + 0.5, float(draw.randint(3, 300))))
    product = Product(sold.name, sold.brand, sold.category, round(price, 2))
    currency = draw.choice(("USD", "USD", "EUR", "GBP") if locale == "en" else ("CNY",))
    terms = None
    if offer:
        kind = draw.choice(KINDS)
        start, end = _days(draw)
        scope = draw.choice((product.category, product.category, product.brand, product.name))
        percent = amount = threshold = gift = None
        if kind == "gift":
            gift = draw.choice(GIFTS[locale])
        elif draw.random() < (0.3 if kind == "threshold" else 0.6):
            percent = float(draw.choice((5, 10, 12, 15, 20, 20, 25, 30, 35, 40, 50, 50, 60)))
        else:
            amount = float(draw.choice((2, 3, 5, 8, 10, 15, 20, 2.5)))
        if kind == "threshold" or (kind in ("gift", "coupon") and draw.random() < 0.4):
            threshold = float(draw.choice((40, 45, 49, 60, 75, 99, 100, 120, 199, 300)))
        code = draw.choice(CODES) if kind == "coupon" else None
        terms = CopyOffer(kind, scope, start, end, percent, amount, threshold, gift, code)
    return CopyFacts(locale, draw.choice(SHOPS[locale]), currency, product, terms)


def _days(draw: Random) -> tuple[date, date]:
    end = date(2024, 1, 10) + timedelta(draw.randrange(480))
    if draw.random() < 0.3:  # the last day of a month, every fifth time of a year
        month = 12 if draw.random() < 0.2 else end.month
        end = date(end.year + month // 12, month % 12 + 1, 1) - timedelta(1)
    return end - timedelta(draw.randint(2, 29)), end
