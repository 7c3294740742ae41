package main

import (
	"slices"
	"strings"
	"testing"

	"nozzle"
	"nozzle/handling"
	"nozzle/nozzletest"
)

func configure(t *testing.T, config string) *bulk {
	t.Helper()
	plugin, err := nozzle.Configure(config, defaults, newBulk)
	if err != nil {
		t.Fatal(err)
	}
	return plugin
}

func TestABatchIsAPairOfLinesForEachRecordThatIsJSON(t *testing.T) {
	plugin := configure(t, `{"action-fields":{"_index":"a"},"key-field":"routing"}`)
	key := "<k>"

	shaped, err := plugin.Shape(nozzletest.Batch(
		nozzletest.Event{Data: `{"n": 1}`, Key: &key}, nozzletest.Event{Data: "a\nb"}, nozzletest.Event{Data: "{\n\"n\":3\r\n}"}))

	if err != nil || len(shaped.Requests) != 1 || len(shaped.Reject) != 1 {
		t.Fatalf("%+v, %v", shaped, err)
	}
	expected := `{"index":{"_index":"a","_id":"0","routing":"<k>"}}` + "\n{\"n\": 1}\n" +
		`{"index":{"_index":"a","_id":"2"}}` + "\n{\"n\":3}\n"
	if body := string(shaped.Requests[0].Body.(nozzle.Bytes)); body != expected {
		t.Errorf("found %s, expected %s", body, expected)
	}
}

func TestAResponseSaysWhatBecameOfEachItem(t *testing.T) {
	plugin := configure(t, `{"delivered":[409]}`)
	body := `{"items":[{"index":{"status":201}},{"status":409},{"status":429},{"status":400,"error":{"reason":"` +
		strings.Repeat("é", 300) + `"}}]}`

	verdicts, err := plugin.verdicts([]byte(body), 4)

	expected := []handling.EventVerdict{
		handling.EventDelivered, handling.EventDelivered, handling.EventRetry,
		handling.EventReject("item status 400: " + strings.Repeat("é", 200)),
	}
	if err != nil || !slices.Equal(verdicts, expected) {
		t.Errorf("%v, %v", verdicts, err)
	}
}
