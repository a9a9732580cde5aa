import pytest

from nightmarket.contracts.tables import BY_NAME, TABLES, arrow_schema


def test_every_reference_names_a_column_of_an_earlier_table():
    for position, table in enumerate(TABLES):
        for column in table.columns:
            if column.refers_to:
                other, _, name = column.refers_to.partition(".")
                assert BY_NAME[other] in TABLES[:position]
                assert BY_NAME[other].column(name).required


def test_every_key_and_pseudonym_is_a_column():
    for table in TABLES:
        for name in (*table.key, table.pseudonym):
            assert not name or table.column(name).kind in ("id", "category")


def test_an_optional_column_may_hold_nulls_or_has_a_default():
    defaults = {("events", "kind"), ("events", "quantity")}
    for table in TABLES:
        for column in table.columns:
            assert column.required or column.nullable or (table.name, column.name) in defaults


def test_the_schema_has_the_contract_columns_in_order_then_attributes_as_text():
    schema = arrow_schema(BY_NAME["customers"], ("attr_age",))
    assert schema.names == ["customer_id", "text", "birth_year", "market", "language", "attr_age"]
    assert str(arrow_schema(BY_NAME["events"]).field("timestamp").type) == "timestamp[us]"


def test_an_unknown_column_is_a_key_error():
    with pytest.raises(KeyError, match="events has no column price"):
        BY_NAME["events"].column("price")
