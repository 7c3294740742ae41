package main

import (
	"testing"

	"nozzle"
	"nozzle/nozzletest"
)

func TestARecordIsPutUnderItsKey(t *testing.T) {
	plugin, err := nozzle.Configure(`{"target":"users"}`, defaults, newPerRecord)
	if err != nil {
		t.Fatal(err)
	}
	key := "a/b"

	shaped, err := plugin.Shape(nozzletest.Batch(nozzletest.Event{Key: &key, Data: "{}"}, nozzletest.Event{Data: "{}"}))

	if err != nil {
		t.Fatal(err)
	}
	if len(shaped.Requests) != 1 || shaped.Requests[0].Target != "users/a%2Fb" {
		t.Errorf("requests: %+v", shaped.Requests)
	}
	if len(shaped.Reject) != 1 || shaped.Reject[0].Event != 1 {
		t.Errorf("rejected: %+v", shaped.Reject)
	}
}
