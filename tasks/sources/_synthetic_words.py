"""Words of the planted topics and categories, in English and Chinese."""

TOPICS: dict[str, tuple[str, ...]] = {
    "en": (
        "football match goal striker league stadium coach penalty referee derby",
        "recipe oven garlic butter flour simmer dessert spicy noodle kitchen",
        "guitar concert melody drummer album chorus vinyl singer orchestra tempo",
        "hiking mountain trail tent campfire summit backpack valley forest boots",
        "stock dividend bond inflation portfolio broker interest mortgage savings tax",
        "python compiler laptop server database keyboard software debugging network code",
        "puppy kitten leash veterinarian paw whiskers aquarium parrot fur treats",
        "lipstick skincare serum perfume mascara eyeliner salon manicure lotion blush",
        "toddler diaper stroller kindergarten bedtime nursery crib pacifier daycare lullaby",
        "engine sedan gearbox tyre mileage garage diesel brake turbo highway",
        "novel poet chapter library author fiction essay publisher paperback memoir",
        "airport passport hotel itinerary luggage beach museum cruise visa souvenir",
    ),
    "zh": (
        "足球 比赛 进球 前锋 联赛 球场 教练 点球 裁判 球迷",
        "菜谱 烤箱 大蒜 黄油 面粉 炖汤 甜点 麻辣 面条 厨房",
        "吉他 演唱会 旋律 鼓手 专辑 合唱 唱片 歌手 乐团 节拍",
        "徒步 高山 山路 帐篷 篝火 登顶 背包 峡谷 森林 登山鞋",
        "股票 分红 债券 通胀 基金 券商 利率 房贷 存款 税务",
        "编程 编译器 笔记本 服务器 数据库 键盘 软件 调试 网络 代码",
        "小狗 小猫 牵绳 兽医 爪子 胡须 鱼缸 鹦鹉 毛发 零食",
        "口红 护肤 精华 香水 睫毛膏 眼线 沙龙 美甲 乳液 腮红",
        "宝宝 尿布 推车 幼儿园 睡前 育儿 婴儿床 奶嘴 托儿所 摇篮曲",
        "发动机 轿车 变速箱 轮胎 里程 车库 柴油 刹车 涡轮 高速",
        "小说 诗人 章节 图书馆 作家 虚构 散文 出版社 平装 回忆录",
        "机场 护照 酒店 行程 行李 海滩 博物馆 邮轮 签证 纪念品",
    ),
}
"""Ten words a topic; label s writes of topic s mod 12, and of a second one from label 12 on."""

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "Today I thought about {0} and {1}, then {2} with {3}.",
        "Does anyone know a good {0}? I need {1}, {2} and {3}.",
        "My week: {0}, {1}, and a lot of {2}. Also {3}!",
        "I love {0} and {1}; {2} is better than {3}.",
    ),
    "zh": (
        "今天一直在想{0}和{1}，还有{2}与{3}。",
        "有人了解{0}吗？我需要{1}、{2}和{3}。",
        "这一周：{0}、{1}，还有很多{2}，另外{3}！",
        "我喜欢{0}和{1}，{2}比{3}更好。",
    ),
}

CATEGORIES: dict[str, tuple[str, ...]] = {
    "en": (
        "drama",
        "comedy",
        "thriller",
        "western",
        "horror",
        "romance",
        "fantasy",
        "history",
        "animation",
        "crime",
        "documentary",
        "musical",
        "war",
        "mystery",
        "biography",
        "adventure",
        "satire",
        "sport",
        "noir",
        "epic",
    ),
    "zh": (
        "剧情",
        "喜剧",
        "惊悚",
        "西部",
        "恐怖",
        "爱情",
        "奇幻",
        "历史",
        "动画",
        "犯罪",
        "纪录",
        "歌舞",
        "战争",
        "悬疑",
        "传记",
        "冒险",
        "讽刺",
        "体育",
        "黑色",
        "史诗",
    ),
}
ADJECTIVES: dict[str, tuple[str, ...]] = {
    "en": ("quiet", "golden", "lost", "second", "broken", "bright", "northern", "last", "hidden", "distant"),
    "zh": ("宁静的", "金色的", "失落的", "第二个", "破碎的", "明亮的", "北方的", "最后的", "隐秘的", "遥远的"),
}


def category_name(language: str, number: int) -> str:
    """Name of a category; a number is added once the names are used up."""
    names = CATEGORIES[language]
    return names[number % len(names)] + ("" if number < len(names) else f" {number // len(names) + 1}")
