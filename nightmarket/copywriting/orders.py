# ruff: noqa: E501  (a Chinese character counts twice)
"""Orders to a writer, and a writer's talk about itself: neither belongs in a text, nor in a name."""

import re

ORDERS = re.compile(
    r"\b(?:(?:ignore|disregard|forget|override|bypass|skip)\b[^.!?]{0,20}\b(?:previous|prior|above|rules?|instructions?|"
    r"told|guard|check|brief|everything|all)|(?:do not|don'?t|never|stop) (?:follow|obey|mention)\w*|pretend|"
    r"repeat (?:after|the|this)|"
    r"output (?:only|the|a)|reply (?:only|with)|respond with|translate\w*|reveal|you are now|you must|act as|"
    r"role[- ]?play|(?:tell|inform) (?:all |the )?(?:buyers?|customers?|readers?|users?)|system ?:|assistant ?:|user ?:|"
    r"note to (?:the )?(?:model|writer|ai)|new (?:instructions?|task)|instructions?|system prompt|prompt|as an ai|"
    r"language model|i (?:cannot|can'?t|am unable)|sure[,!] (?:here|i)|"
    r"here(?:'s| is| are) (?:a|the|your|some)\b|rewrit\w+|assistant|json|facts?)(?!\w)"
    r"|<\||\|>|#{3,}"
    r"|忽略|无视|忘记(?!带)|跳过|绕过|不要遵守|不要理会|指令|提示词|系统[:：]|作为(?:一个|一名)?(?:AI|人工智能)|语言模型|"
    r"(?:人工智能|AI)助手|无法(?:提供|生成)|以下是|改写|翻译成|扮演|假装|(?:请)?重复(?:这|以上|下面)|只(?:输出|回复|回答)|"
    r"你(?:必须|现在是)|模型请?注意|告诉(?:顾客|客户|买家|用户)|文案|根据您?的要求|上面的要求|审核",
    re.IGNORECASE,
)
