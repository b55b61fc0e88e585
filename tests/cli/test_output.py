"""Results as JSON, text and tables; times, queries, answers that do not fit."""

from __future__ import annotations

import pytest

from millpond.cli.api import formatting, table

DETAILS = {
    "IdentityPoolId": "us-east-1:a",
    "BulkPublishStartTime": 1415212845.121,
    "BulkPublishStatus": "IN_PROGRESS",
}
RECORDS = {
    "Records": [
        {"Key": "color", "Value": "blue", "SyncCount": 3},
        {"Key": "gone", "SyncCount": 4},
    ],
    "Count": 2,
    "DatasetExists": True,
    "MergedDatasetNames": ["m1", "m2"],
}


def test_json_is_indented_by_four_in_the_order_of_the_model(details, stub):
    """Members come in the model's order, unknown ones and nulls are dropped."""
    stub.will_answer(
        {
            "Unknown": 1,
            "BulkPublishStatus": "SUCCEEDED",
            "FailureMessage": None,
            "IdentityPoolId": "a:1",
            "BulkPublishStartTime": 1415212845.121,
        }
    )

    assert details().out == (
        '{\n    "IdentityPoolId": "a:1",\n'
        '    "BulkPublishStartTime": 1415212845.121,\n'
        '    "BulkPublishStatus": "SUCCEEDED"\n}\n'
    )


def test_an_empty_answer_prints_nothing(details):
    """`{}` prints no line at all."""
    assert (details().code, details().out, details().err) == (0, "", "")


@pytest.mark.parametrize("body", ["<html>hi</html>", "  ", '{"IdentityPoolId": "x', ""])
def test_a_success_that_is_no_json_prints_nothing(details, stub, body):
    """A body that cannot be read has no members."""
    stub.will_answer(body)

    assert (details().code, details().out) == (0, "")


def test_a_result_that_is_no_object_is_an_error(details, stub):
    """A list in the place of the result fails, in one line."""
    stub.will_answer([1])

    result = details()

    assert (result.code, result.out) == (255, "")
    assert result.err.count("\n") == 2


def test_numbers_and_booleans_are_converted(sync, stub, pool):
    """Whole numbers come out as such; nulls inside a list stay."""
    stub.will_answer(
        {"Count": "3", "DatasetSyncCount": 1.5, "DatasetExists": "true"}
        | {"MergedDatasetNames": ["a", None]}
    )

    result = sync(
        *("list-records", "--identity-pool-id", pool, "--identity-id", "i:1"),
        *("--dataset-name", "d", "--output", "text"),
    )

    assert result.out == "3\tTrue\t1\nMERGEDDATASETNAMES\ta\nMERGEDDATASETNAMES\tNone\n"


def test_text_has_a_line_for_each_structure():
    """Plain values are sorted; what is nested follows with its name in front."""
    assert formatting.as_text(RECORDS) == (
        "2\tTrue\n"
        "MERGEDDATASETNAMES\tm1\n"
        "MERGEDDATASETNAMES\tm2\n"
        "RECORDS\tcolor\t3\tblue\n"
        "RECORDS\tgone\t4\t\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None\n"),
        (True, "True\n"),
        ([], ""),
        ({}, ""),
        (["a", "b"], "a\tb\n"),
        ([["a", "b"], "c", ["d"]], "c\na\tb\nd\n"),
        ([{"b": 1, "a": 2}, {"c": [3]}], "2\t1\n\t\nC\t3\n"),
    ],
)
def test_text_of_queries(value, text):
    """Whatever a query gives has a form as text."""
    assert text == formatting.as_text(value)


def test_a_table_of_a_structure():
    """A row that is too wide for a line is turned into two columns."""
    assert table.as_table("ListRecords", DETAILS) == (
        "-----------------------------------------------------------------\n"
        "|                          ListRecords                          |\n"
        "+----------------------+---------------------+------------------+\n"
        "| BulkPublishStartTime |  BulkPublishStatus  | IdentityPoolId   |\n"
        "+----------------------+---------------------+------------------+\n"
        "|  1415212845.121      |  IN_PROGRESS        |  us-east-1:a     |\n"
        "+----------------------+---------------------+------------------+\n"
    )
    assert table.as_table("ListRecords", DETAILS | {"FailureMessage": "no"}) == (
        "--------------------------------------------\n"
        "|                ListRecords               |\n"
        "+-----------------------+------------------+\n"
        "|  BulkPublishStartTime |  1415212845.121  |\n"
        "|  BulkPublishStatus    |  IN_PROGRESS     |\n"
        "|  FailureMessage       |  no              |\n"
        "|  IdentityPoolId       |  us-east-1:a     |\n"
        "+-----------------------+------------------+\n"
    )


def test_a_table_of_lists():
    """Lists of structures and of words become sections below."""
    assert table.as_table("ListRecords", RECORDS) == (
        "-----------------------------------\n"
        "|           ListRecords           |\n"
        "+----------+----------------------+\n"
        "|   Count  |    DatasetExists     |\n"
        "+----------+----------------------+\n"
        "|  2       |  True                |\n"
        "+----------+----------------------+\n"
        "||      MergedDatasetNames       ||\n"
        "|+-------------------------------+|\n"
        "||  m1                           ||\n"
        "||  m2                           ||\n"
        "|+-------------------------------+|\n"
        "||            Records            ||\n"
        "|+-------+-------------+---------+|\n"
        "||  Key  |  SyncCount  |  Value  ||\n"
        "|+-------+-------------+---------+|\n"
        "||  color|  3          |  blue   ||\n"
        "||  gone |  4          |         ||\n"
        "|+-------+-------------+---------+|\n"
    )


def test_tables_of_queries():
    """Lists inside of lists go on with the table around them."""
    assert table.as_table("T", [["a", [1]], [{"x": 1}]]) == (
        "-------\n|  T  |\n+-----+\n|  x  |\n+-----+\n|  a  |\n|  1  |\n|  1  |\n"
        "+-----+\n"
    )
    assert table.as_table("T", [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}]) == (
        "---------\n"
        "|   T   |\n"
        "+-------+\n"
        "|   a   |\n"
        "+-------+\n"
        "|  1    |\n"
        "+-------+\n"
        "||  b  ||\n"
        "|+-----+|\n"
        "||  2  ||\n"
        "|+-----+|\n"
        "|   T   |\n"
        "+-------+\n"
        "|   a   |\n"
        "+-------+\n"
        "|  3    |\n"
        "+-------+\n"
        "||  b  ||\n"
        "|+-----+|\n"
        "||  4  ||\n"
        "|+-----+|\n"
    )


@pytest.mark.parametrize("value", [None, [], {}, 0, ""])
def test_a_table_of_nothing_is_nothing(value):
    """An empty result has no table."""
    assert table.as_table("X", value) == ""


def test_wide_characters_count_twice():
    """Columns stay straight with characters that are two columns wide."""
    lines = table.as_table("T", {"a": "池池"}).splitlines()

    assert lines[3] == "|  a |  池池  |"
    assert lines[4] == "+----+--------+"


def test_colours():
    """With colours, cells and bars carry escape codes; without, none do."""
    assert "\x1b[1m\x1b[34mb\x1b[0m" in table.as_table("T", {"a": "b"}, color="on")
    assert "\x1b" not in table.as_table("T", {"a": "b"}, color="off")
    assert "\x1b" not in table.as_table("T", {"a": "b"}, color="auto")


def test_a_query_picks_from_the_result(details, stub):
    """--query applies before the output is formed, in each form."""
    stub.will_answer(DETAILS)

    assert details("--query", "BulkPublishStatus").out == '"IN_PROGRESS"\n'
    assert (
        details("--query", "BulkPublishStatus", "--output", "text").out
    ) == "IN_PROGRESS\n"
    assert details("--query", "Nothing").out == "null\n"
    # AWS: of a single value, a table shows the title alone
    assert "GetBulkPublishDetails" in (
        details("--query", "BulkPublishStatus", "--output", "table").out
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("[[", "\nBad value for --query [[: Invalid jmespath expression"),
        ("", "\nBad value for --query : "),
    ],
)
def test_a_query_that_is_none(details, stub, query, message):
    """A query that cannot be compiled is refused before anything is sent."""
    result = details("--query", query)

    assert result.code == 255
    assert result.err.startswith(message)
    assert stub.received == []


def test_a_query_that_fails(details, stub):
    """A query may compile and yet not fit the result."""
    stub.will_answer(DETAILS)

    result = details("--query", "length(BulkPublishStartTime)")

    assert (result.code, result.out) == (255, "")
    assert "invalid type for value" in result.err


def test_the_form_may_be_configured(details, stub, home, monkeypatch):
    """The option wins over the variable, the variable over the profile."""
    stub.will_answer(DETAILS)
    (home / ".aws" / "config").write_text("[default]\noutput = text\n")

    assert details().out == "1415212845.121\tIN_PROGRESS\tus-east-1:a\n"
    monkeypatch.setenv("AWS_DEFAULT_OUTPUT", "table")
    assert details().out.startswith("---")
    assert details("--output", "json").out.startswith("{")


@pytest.mark.parametrize("form", ["yml", "YAML", "TEXT", ""])
def test_a_form_that_does_not_exist(details, monkeypatch, form):
    """A configured form is refused when the result is to be printed."""
    monkeypatch.setenv("AWS_DEFAULT_OUTPUT", form)

    result = details()

    assert (result.code, result.err) == (255, f"\nUnknown output type: {form}\n")


def test_output_is_not_escaped(details, stub):
    """Characters beyond ASCII are printed as they are, in each form."""
    message = "échec — 日本語 🚀"
    stub.will_answer({"FailureMessage": message})

    for form in ("json", "text", "table"):
        assert message in details("--output", form).out


@pytest.mark.parametrize(
    ("received", "printed"),
    [
        (1415212845.121, '"2014-11-05T18:40:45.121000+00:00"'),
        (1415212845, '"2014-11-05T18:40:45+00:00"'),
        ("2014-11-05T18:40:45.5+02:00", '"2014-11-05T18:40:45.500000+02:00"'),
        ("Wed, 05 Nov 2014 18:40:45 GMT", '"2014-11-05T18:40:45+00:00"'),
        (-1.5, '"1969-12-31T23:59:58.500000+00:00"'),
    ],
)
def test_times_as_iso_8601(details, stub, home, monkeypatch, received, printed):
    """With cli_timestamp_format = iso8601, numbers and dates are written anew."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (home / ".aws" / "config").write_text("[default]\ncli_timestamp_format=iso8601\n")
    stub.will_answer({"BulkPublishStartTime": received})

    assert f"{printed}\n" == details("--query", "BulkPublishStartTime").out


def test_a_time_that_is_none(details, stub, home):
    """A time that cannot be read fails in iso8601 and is printed as it is otherwise."""
    stub.will_answer({"BulkPublishStartTime": "yesterday"})

    assert '"yesterday"' in details().out
    (home / ".aws" / "config").write_text("[default]\ncli_timestamp_format=iso8601\n")
    assert details().err.startswith('\nInvalid timestamp "yesterday": ')


@pytest.mark.parametrize(
    ("received", "message"),
    [
        ("inf", 'Unable to calculate correct timezone offset for "inf"'),
        (1e18, 'Unable to calculate correct timezone offset for "1e+18"'),
        ("NaN", 'Invalid timestamp "NaN": Unknown string format: NaN'),
        ([1], 'Invalid timestamp "[1]": Parser must be a string'),
    ],
)
def test_times_beyond_all_calendars(details, stub, home, received, message):
    """A number that is no time is told as such."""
    (home / ".aws" / "config").write_text("[default]\ncli_timestamp_format=iso8601\n")
    stub.will_answer({"BulkPublishStartTime": received})

    assert details().err.startswith(f"\n{message}")


def test_a_format_of_times_that_does_not_exist(details, home, stub):
    """Only none, wire and iso8601 are formats."""
    (home / ".aws" / "config").write_text("[default]\ncli_timestamp_format = ISO\n")

    assert details().err == (
        "\nUnknown cli_timestamp_format value: ISO, valid values are "
        '"none", "wire" or "iso8601"\n'
    )
    assert stub.received == []
