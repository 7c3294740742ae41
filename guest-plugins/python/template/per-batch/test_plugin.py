import unittest

from nozzle_plugin.testing import start
from plugin import MyPlugin


class MyPluginTest(unittest.TestCase):
    def test_a_record_that_is_no_json_does_not_spoil_the_array(self) -> None:
        plugin = start(MyPlugin)

        shaped = plugin.shape('{"n":1}', "oops", "2")

        self.assertEqual([one.indices for one in shaped.requests], [[0, 2]])
        self.assertEqual([index for index, _ in shaped.rejected], [1])

    def test_without_a_record_to_send_there_is_no_call(self) -> None:
        plugin = start(MyPlugin)

        shaped = plugin.shape("oops")

        self.assertEqual(shaped.requests, [])
