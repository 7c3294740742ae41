import unittest

from nozzle_plugin.testing import TestEvent, start
from plugin import MyPlugin


class MyPluginTest(unittest.TestCase):
    def test_each_record_is_a_call_and_hidden_ones_are_none(self) -> None:
        plugin = start(MyPlugin, {"target": "things"})

        shaped = plugin.shape(TestEvent(b'{"n":1}', key="a/b"), '{"hidden":true}')

        self.assertEqual([(one.target, one.content, one.indices) for one in shaped.requests], [("things/a%2Fb", b'{"n":1}', [0])])
        self.assertEqual(shaped.dropped, [1])

    def test_a_setting_that_is_not_there_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "unknown field `tarGet`"):
            start(MyPlugin, {"tarGet": "x"})
