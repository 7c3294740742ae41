import unittest

from items import verdicts
from nozzle_plugin import Reject


class ItemsTest(unittest.TestCase):
    def test_a_long_error_is_cut(self) -> None:
        found = verdicts({"items": [{"status": 400, "error": "é" * 300}]}, 1, [])

        self.assertEqual(found, [Reject("item status 400: " + "é" * 200)])

    def test_an_item_whose_status_is_no_whole_number_says_nothing(self) -> None:
        for status in (200.5, "200", None, True):
            with self.subTest(status=status), self.assertRaises(ValueError):
                verdicts({"items": [{"status": status}]}, 1, [])
