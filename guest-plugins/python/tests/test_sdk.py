import json
import unittest
from dataclasses import dataclass, field
from typing import Any, Literal

from nozzle_plugin import (
    Batch,
    Call,
    Delivered,
    Event,
    Failure,
    Handled,
    NoSettings,
    Outcome,
    Plugin,
    Reject,
    Request,
    Response,
    Result,
    Shaped,
    Verdict,
    post,
)
from nozzle_plugin.plugin import explain
from nozzle_plugin.testing import TestEvent, start


@dataclass
class Settings:
    url: str
    id_field: str = "_id"
    size: int = 7
    share: float = 0.5
    mode: Literal["a", "b"] = "a"
    on: bool = True
    statuses: list[int] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    key: str | None = None


class Bare(Plugin[Settings]):
    def shape(self, batch: Batch) -> Shaped:
        return Shaped()


class SettingsTest(unittest.TestCase):
    def test_settings_have_defaults_and_names_with_hyphens(self) -> None:
        plugin = start(Bare, {"url": "x", "id-field": "", "share": 1, "statuses": [1], "key": None})

        self.assertEqual(plugin.plugin.settings, Settings("x", id_field="", share=1.0, statuses=[1]))

    def test_settings_that_make_no_sense_are_refused_in_words_for_the_user(self) -> None:
        table: list[tuple[Any, str]] = [
            (None, "missing field `url`"),
            ({"url": "x", "sise": 1}, "unknown field `sise`, expected one of `url`, `id-field`, `size`, `share`, `mode`, `on`, `statuses`, `fields`, `key`"),
            ({"url": "x", "id_field": "y"}, "unknown field `id_field`"),
            ({"url": 1}, "`url`: invalid type: number 1, expected a string"),
            ({"url": None}, "`url`: invalid type: null, expected a string"),
            ({"url": "x", "size": True}, "`size`: invalid type: boolean true, expected a whole number"),
            ({"url": "x", "size": 1.5}, "`size`: invalid type: number 1.5, expected a whole number"),
            ({"url": "x", "mode": "c"}, '`mode`: invalid type: string "c", expected one of `a`, `b`'),
            ({"url": "x", "mode": ["a"]}, "`mode`: invalid type: list, expected one of `a`, `b`"),
            ({"url": "x", "statuses": [1, "2"]}, '`statuses`: invalid type: string "2", expected a whole number'),
            ({"url": "x", "statuses": {}}, "`statuses`: invalid type: object, expected a list"),
            ({"url": "x", "fields": []}, "`fields`: invalid type: list, expected an object"),
            ({"url": "x", "key": 1}, "`key`: invalid type: number 1, expected a string or null"),
            ([], "invalid type: list, expected an object"),
        ]

        for config, expected in table:
            with self.subTest(config=config), self.assertRaises(ValueError) as raised:
                start(Bare, config)
            self.assertTrue(str(raised.exception).startswith(expected), str(raised.exception))

    def test_a_plugin_without_settings_takes_none(self) -> None:
        class Plain(Plugin[NoSettings]):
            pass

        self.assertRaisesRegex(ValueError, "unknown field `x`, there are no fields", start, Plain, {"x": 1})


class BatchTest(unittest.TestCase):
    def test_an_event_is_read_as_it_is(self) -> None:
        seen: list[Event] = []

        class Reader(Plugin[NoSettings]):
            def shape(self, batch: Batch) -> Shaped:
                seen.extend(batch)
                return Shaped()

        start(Reader).shape(TestEvent("\ufeffx".encode(), id="é", key="", timestamp_ms=5, attributes={"a": "1", "b": "2"}), b"\xff")

        first, second = seen
        read = (first.index, first.id, first.key, first.timestamp_ms, first.attributes, first.text())
        self.assertEqual(read, (0, "é", "", 5, {"a": "1", "b": "2"}, "\ufeffx"))
        self.assertEqual((second.index, second.id, second.key, second.attributes, second.data), (1, "1", None, {}, b"\xff"))
        self.assertRaisesRegex(Reject, "no UTF-8", second.text)

    def test_a_record_that_is_no_json_or_that_nobody_wants_is_rejected_alone(self) -> None:
        class Picky(Plugin[NoSettings]):
            def shape(self, batch: Batch) -> Shaped:
                shaped = Shaped()
                for event in batch:
                    with shaped.rejecting(event):
                        if event.json() == 0:
                            raise Reject("nobody wants 0")
                        shaped.send(post("").body(event.json_text()).events(event))
                return shaped

        shaped = start(Picky).shape("1", "0", "x", "\ufeff1", b'"\xff"', "Infinity", '"é"')

        self.assertEqual([(one.indices, one.content) for one in shaped.requests], [([0], b"1"), ([6], '"é"'.encode())])
        self.assertEqual([index for index, _ in shaped.rejected], [1, 2, 3, 4, 5])
        self.assertEqual(shaped.rejected[0][1], "nobody wants 0")
        self.assertEqual(shaped.rejected[3][1], "the record is no JSON, as it is no UTF-8")
        self.assertTrue(all("no JSON" in reason for _, reason in shaped.rejected[1:]))

    def test_numbers_of_any_length_and_values_of_any_depth_do_not_end_the_plugin(self) -> None:
        class Text(Plugin[NoSettings]):
            def shape(self, batch: Batch) -> Shaped:
                shaped = Shaped()
                for event in batch:
                    with shaped.rejecting(event):
                        shaped.send(post("").body(event.json_text()).events(event))
                return shaped

        deepest = "[" * 256 + "]" * 256
        flat = json.dumps([[], "[[", {"\\": '"['}] * 300)
        shaped = start(Text).shape("9" * 5000, deepest, flat, f"[{deepest}]", '{"a":' * 200_000)

        self.assertEqual([one.indices for one in shaped.requests], [[0], [1], [2]])
        self.assertEqual([reason for _, reason in shaped.rejected], ["the record is nested deeper than 256 levels"] * 2)
        self.assertRaisesRegex(ValueError, "nested deeper", Response(200, body=b"[" * 257).json)


class RequestTest(unittest.TestCase):
    def test_a_request_is_built_step_by_step(self) -> None:
        request = post("a").endpoint("eu").header("x", "1").json({"b": ["é"]}).events([2, 0])

        headers = [("x", "1"), ("content-type", "application/json")]
        self.assertEqual(request, Request("post", "a", "eu", headers, b'{"b":["\\u00e9"]}', [2, 0]))
        self.assertRaises(ValueError, post("a").json, float("nan"))


class OutcomeTest(unittest.TestCase):
    def test_a_handler_sees_the_response_and_its_call_and_answers_with_results(self) -> None:
        class Reader(Plugin[NoSettings]):
            def shape(self, batch: Batch) -> Shaped:
                return Shaped().send(post("a").events(batch))

            def handle(self, outcome: Outcome, call: Call) -> Verdict | Handled:
                if not isinstance(outcome, Response):
                    return Reject(f"{outcome.kind}: {outcome.message}")
                event = call.event(0)
                assert event is not None
                seen = [outcome.header("x"), outcome.json(), call.attempt, call.target, event.key, call.events()[1].text(), call.event(9)]
                return Handled(Delivered(), [Result(json.dumps(seen).encode(), key=event.key)])

        plugin = start(Reader)
        handled = plugin.handle(Response(200, [("x", "1")], b"[]"), TestEvent(b"1", key="k"), "2", attempt=3)
        failed = plugin.handle(Failure("connect", "refused"), "1")

        self.assertEqual(handled, Handled(Delivered(), [Result(b'["1", [], 3, "a", "k", "2", null]', key="k")]))
        self.assertEqual(failed.verdict, Reject("connect: refused"))
        self.assertTrue(Reader.handles())
        self.assertFalse(Bare.handles())


class ExplainTest(unittest.TestCase):
    def test_an_exception_that_nobody_meant_has_its_place(self) -> None:
        def fail() -> None:
            raise KeyError("a")

        # `assertRaises` would clear the place.
        try:
            fail()
        except KeyError as error:
            found = explain(error, ())

        self.assertRegex(found, r"^KeyError: 'a' \(test_sdk.py line \d+, in fail\)$")
        self.assertEqual(explain(Reject("no"), ()), "no")
        self.assertEqual(explain(ValueError("`x` is empty"), (ValueError,)), "`x` is empty")
        self.assertEqual(explain(ValueError("x"), ()), "ValueError: x")


if __name__ == "__main__":
    unittest.main()
