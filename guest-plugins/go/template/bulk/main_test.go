package main

import (
	"slices"
	"testing"

	"nozzle/handling"
)

func TestEachItemHasItsOwnVerdict(t *testing.T) {
	body := `{"items":[{"status":201},{"status":429},{"status":400,"error":"no such field"}]}`

	verdicts, err := read([]byte(body), 3)

	if err != nil {
		t.Fatal(err)
	}
	expected := []handling.EventVerdict{
		handling.EventDelivered, handling.EventRetry, handling.EventReject("item status 400: no such field"),
	}
	if !slices.Equal(verdicts, expected) {
		t.Errorf("found %v, expected %v", verdicts, expected)
	}
}

func TestAnAnswerThatDoesNotFitDeliversNothing(t *testing.T) {
	for _, body := range []string{"", "{}", `{"items":[]}`, `{"items":[{}]}`, `{"items":[{"status":302}]}`} {
		if verdicts, err := read([]byte(body), 1); err == nil {
			t.Errorf("%q: %v", body, verdicts)
		}
	}
}
