import unittest

from nozzle_plugin import Delivered, Each, Reject, Response, Retry
from nozzle_plugin.testing import TestEvent, start
from plugin import MyPlugin


class MyPluginTest(unittest.TestCase):
    def test_a_record_is_a_line_with_its_id(self) -> None:
        plugin = start(MyPlugin)

        shaped = plugin.shape(TestEvent(b'{"n":\n1}', id="a"))

        self.assertEqual(shaped.requests[0].content, b'{"id":"a","record":{"n":1}}\n')

    def test_only_what_failed_is_sent_again(self) -> None:
        plugin = start(MyPlugin)
        body = b'{"items":[{"status":201},{"status":503},{"status":400,"error":"too old"}]}'

        handled = plugin.handle(Response(200, body=body), "1", "2", "3")

        expected = Each([Delivered(), Retry(), Reject('item status 400: "too old"')])
        self.assertEqual(handled.verdict, expected)
