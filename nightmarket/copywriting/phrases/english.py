"""The English phrases."""

from datetime import date

from nightmarket.copywriting.phrases.language import Benefit, Phrasebook, plain

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _money(value: float, symbol: str, currency: str) -> str:
    return f"{symbol}{plain(value)}"


def _day(day: date, year: bool) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}" + (f" {day.year}" if year else "")


def _reduction(much: str) -> Benefit:
    return Benefit(
        (f"{much} off {{thing}}", f"{{thing}}: {much} off", f"a saving of {much} on {{thing}}"),
        (
            f"save {much} on {{thing}}",
            f"take {much} off {{thing}}",
            f"enjoy {much} off {{thing}}",
            f"pay {much} less for {{thing}}",
            f"pick up {{thing}} for {much} less",
        ),
        (
            f"you save {much} on {{thing}}",
            f"we take {much} off {{thing}}",
            f"there is {much} off {{thing}}",
            f"you pay {much} less for {{thing}}",
            f"{much} comes off {{thing}}",
        ),
    )


def _coupon(much: str) -> Benefit:
    return Benefit(
        (
            f"{much} off {{thing}} with your coupon",
            f"your coupon: {much} off {{thing}}",
            f"a coupon for {much} off {{thing}}",
        ),
        (f"use your coupon and save {much} on {{thing}}", f"take {much} off {{thing}} with your coupon"),
        (f"your coupon takes {much} off {{thing}}", f"with your coupon you save {much} on {{thing}}"),
    )


ENGLISH = Phrasebook(
    benefits={
        "percent": _reduction("{percent}"),
        "amount": _reduction("{amount}"),
        "percent_coupon": _coupon("{percent}"),
        "amount_coupon": _coupon("{amount}"),
        "coupon": Benefit(
            (
                "your coupon for {thing}",
                "a coupon for {thing}",
                "{thing}: your coupon is here",
                "for {thing}: your coupon",
                "something for your pocket: a coupon for {thing}",
            ),
            (
                "use your coupon for {thing}",
                "pick up {thing} with your coupon",
                "bring your coupon for {thing}",
                "put {thing} on your list and use your coupon",
            ),
            (
                "your coupon for {thing} is here",
                "you have a coupon for {thing}",
                "there is a coupon for {thing}",
                "a coupon for {thing} is waiting for you",
                "we have put aside a coupon for {thing}",
            ),
        ),
        "gift": Benefit(
            ("{gift} as a gift with {thing}", "a gift with {thing}: {gift}"),
            (
                "buy {thing} and get {gift} as a gift",
                "choose {thing} and take {gift} home as a gift",
                "pick up {thing} and receive {gift} as a gift",
            ),
            ("with {thing} you get {gift} as a gift", "you receive {gift} as a gift with {thing}"),
        ),
    },
    conditions=(
        " when you spend {threshold} or more",
        " on orders from {threshold}",
        " if you spend at least {threshold}",
        " from {threshold}",
    ),
    codes=(" with code {code}", " using code {code}", ", code {code}"),
    until=("until {end}", "from {start} to {end}", "up to {end}", "until {end}"),
    ends=(
        "Ends {end}.",
        "Valid until {end}.",
        "It ends on {end}.",
        "The last day is {end}.",
        "Valid from {start} to {end}.",
        "It runs until {end}.",
        "You have until {end}.",
        "Please note the last day: {end}.",
    ),
    frames={
        "push": (
            "{noun}, {until}",
            "{order} {until}",
            "{clause} {until}",
            "{noun}. {ends}",
            "{order}. {ends}",
            "{shop}: {noun}, {until}",
            "{until}, {clause}",
        ),
        "sms": (
            "{opener} {noun}, {until}. {shop}",
            "{opener} {order}. {ends} {shop}",
            "{shop}: {noun}. {ends}",
            "{shop}: {order} {until}. {closer}",
            "{clause} {until}. {closer} {shop}",
            "At {shop}, {clause} {until}.",
            "{until}, {clause}. {closer}",
            "{order}. {ends} {closer}",
            "{opener} {clause} {until}.",
            "Hello from {shop}. {clause} {until}.",
            "{noun}. {ends} See you at {shop}.",
        ),
        "subject": (
            "{noun}",
            "{order}",
            "{clause}",
            "{noun}, {until}",
            "{shop}: {noun}",
            "{until}, {clause}",
            "At {shop}: {noun}",
        ),
        "body": (
            "{opener}\n\n{clause}. {ends} {such}\n\n{why} {closer}\n{shop}",
            "{order} {until}. {why}\n\n{closer}\n{shop}",
            "{opener} {why}\n\n{clause}. {ends}\n\n{closer}\n{shop}",
            "{until}, {clause}. {such} {why}\n\n{closer}\n\n{shop}",
            "{opener} {order}. {ends} {why}\n\n{closer} {shop}",
            "At {shop}, {clause}. {ends} {such} {why}\n\n{closer}",
            "Hello from {shop}. {clause}, {until}. {such}\n\n{why} {closer}",
            "{such} {clause} {until}. {why}\n\n{closer}\n{shop}",
            "{why} {order} {until}.\n\n{closer}\n{shop}",
            "{noun}: have a look. {ends}\n\n{such} {why} {closer}\n\n{shop}",
        ),
        "banner": ("{noun} {until}", "{noun}, to {end}", "{order} {until}", "{clause} {until}", "{until}, {clause}"),
    },
    plain={
        "push": (
            "{product}: have a look",
            "For your list: {product}",
            "{product}, at {shop}",
            "How about {product}?",
            "Have you tried {product}?",
        ),
        "sms": (
            "{opener} {product}, at {shop}.",
            "{shop}: {product}. {closer}",
            "How about {product}? {closer} {shop}",
            "{opener} Find {product} at {shop}.",
            "For your list: {product}, at {shop}. {closer}",
        ),
        "subject": ("{product}, at {shop}", "For your list: {product}", "How about {product}?", "{shop}: {product}"),
        "body": (
            "{opener}\n\n{product}. {cost} {why}\n\n{closer}\n{shop}",
            "{opener}\n\nFind {product} at {shop}. {cost} {why} {closer}",
            "How about {product}? {cost}\n\n{why} {closer}\n{shop}",
            "Hello from {shop}. {why} {opener}\n\nFor your list: {product}. {cost} {closer}",
        ),
        "banner": ("{product}", "For your list: {product}", "How about {product}?", "{product}, at {shop}"),
    },
    new={
        "push": ("New: {product}", "New at {shop}: {product}", "Just arrived: {product}", "Have a look: new {product}"),
        "sms": (
            "New at {shop}: {product}. {cost} {closer}",
            "Just arrived: {product}. {cost} {shop}",
            "{shop} has something new: {product}. {closer}",
            "{opener} New on our shelves: {product}. {cost}",
            "Hello from {shop}. Have you met {product}, new on our shelves?",
        ),
        "subject": ("New: {product}", "New at {shop}: {product}", "Just arrived: {product}"),
        "body": (
            "Hello from {shop}.\n\nWe have something new: {product}. {cost}\n\n{closer}",
            "New on our shelves: {product}. {cost}\n\nFind it at {shop}. {closer}",
            "{opener}\n\nJust arrived: {product}. {cost}\n\n{closer}\n{shop}",
            "Have you met {product}, new at {shop}? {cost}\n\n{closer}",
        ),
        "banner": ("New: {product}", "New at {shop}: {product}", "Just arrived: {product}"),
    },
    openers={
        "saving": (
            "A little less to pay at the till.",
            "Your basket can cost less.",
            "Something for the budget.",
            "For a smaller bill.",
            "Easy on the wallet.",
        ),
        "quality": (
            "Something nice for your next basket.",
            "A good choice for your list.",
            "Treat yourself.",
            "Something to enjoy.",
            "For you, and for your table.",
            "Fancy something nice?",
        ),
        "routine": (
            "Time to stock up?",
            "Is it on your list?",
            "Running low?",
            "Planning your next shop?",
            "A reminder for your list.",
            "Before you write your list.",
            "What is on the list this time?",
        ),
        "plain": (
            "We picked this for you.",
            "Something for your next basket.",
            "A thought for your next visit.",
            "Here is an idea.",
            "Planning your next visit?",
            "A note for your list.",
            "May we suggest something?",
        ),
    },
    closers=(
        "See you soon.",
        "We look forward to your visit.",
        "Enjoy.",
        "Happy shopping.",
        "Until soon.",
        "Thank you for shopping with us.",
        "Have a good day.",
        "Kind regards.",
        "Looking forward to seeing you.",
    ),
    such=("One to look at: {product}.", "How about {product}?", "{product}, for example.", "Perhaps {product}?"),
    cost=("Price: {price}.", "It costs {price}."),
    reason=("Good to know about {product}: {reason}.", "{product}: {reason}."),
    praise=(
        "Customers praise {product} for {praise}.",
        "Praised in reviews for {praise}: {product}.",
        "Reviews praise {product} for {praise}.",
    ),
    joint=" and ",
    amount=_money,
    day=_day,
    share=lambda percent: f"{percent:g}%",
)
