"""What the made-up retailers sell, in English and Chinese."""

TYPES = (
    # department > category > type, nouns in English, nouns in Chinese, usual price
    ("GROCERY > DAIRY > MILK", ("whole milk", "skimmed milk", "oat drink"), ("全脂牛奶", "脱脂牛奶", "燕麦奶"), 1.6),
    ("GROCERY > DAIRY > YOGURT", ("greek yogurt", "fruit yogurt"), ("希腊酸奶", "水果酸奶"), 2.4),
    ("GROCERY > DAIRY > CHEESE", ("cheddar cheese", "goat cheese"), ("切达奶酪", "山羊奶酪"), 4.5),
    ("GROCERY > BREAD > LOAVES", ("rye bread", "white bread"), ("黑麦面包", "白面包"), 2.2),
    ("GROCERY > DRINKS > COFFEE", ("ground coffee", "coffee beans"), ("咖啡粉", "咖啡豆"), 6.9),
    ("GROCERY > DRINKS > TEA", ("green tea", "black tea", "oolong tea"), ("绿茶", "红茶", "乌龙茶"), 3.8),
    ("GROCERY > SNACKS > CHOCOLATE", ("dark chocolate", "milk chocolate"), ("黑巧克力", "牛奶巧克力"), 2.1),
    ("GROCERY > STAPLES > RICE", ("jasmine rice", "brown rice"), ("茉莉香米", "糙米"), 5.2),
    ("PRODUCE > FRUIT > CITRUS", ("navel oranges", "lemons"), ("脐橙", "柠檬"), 2.9),
    ("PRODUCE > VEGETABLES > LEAVES", ("baby spinach", "romaine lettuce"), ("小菠菜", "长叶生菜"), 2.0),
    ("DRUG > HAIR CARE > SHAMPOO", ("repair shampoo", "baby shampoo"), ("修护洗发水", "婴儿洗发水"), 7.5),
    ("DRUG > PAPER > TISSUES", ("soft tissues", "kitchen roll"), ("柔软纸巾", "厨房卷纸"), 3.3),
)
ADJECTIVES = ("organic", "classic", "family", "light", "premium", "farm", "value", "fresh")
ADJECTIVES_ZH = ("有机", "经典", "家庭装", "轻享", "优选", "农场", "实惠", "新鲜")
SIZES = ("250 G", "500 G", "1 KG", "6 CT", "1 L", "330 ML")
