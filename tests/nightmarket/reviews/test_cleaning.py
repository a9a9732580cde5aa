from nightmarket.reviews.documents import distinct, normalised


def test_width_white_space_and_invisible_characters_make_no_difference():
    assert normalised(["ＡＢＣ！", " a\u3000b\r\nc\t", "不\u200b错\ufeff", "a\x00b", "\ud800x"]) == [
        "ABC!",
        "a b c",
        "不错",
        "a b",
        "x",
    ]


def test_a_text_of_nothing_but_white_space_is_empty():
    assert normalised(["", " \n\u3000", "\u200b"]) == ["", "", ""]
    assert normalised([]) == []


def test_the_first_of_equal_texts_stays_and_empty_ones_go():
    assert distinct(["b", "", "a", "b", "a", ""]).tolist() == [0, 2]
    assert distinct([]).tolist() == []
