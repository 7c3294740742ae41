package main

import (
	"slices"
	"testing"

	"nozzle"
	"nozzle/nozzletest"
)

func TestRecordsThatAreJSONAreSentTogether(t *testing.T) {
	plugin, err := nozzle.Configure("null", defaults, newPerBatch)
	if err != nil {
		t.Fatal(err)
	}

	shaped, err := plugin.Shape(nozzletest.Records(`{"n":1}`, `one`, `2`))

	if err != nil {
		t.Fatal(err)
	}
	if len(shaped.Requests) != 1 || !slices.Equal(shaped.Requests[0].Events, []uint32{0, 2}) {
		t.Errorf("requests: %+v", shaped.Requests)
	}
	if len(shaped.Reject) != 1 || shaped.Reject[0].Event != 1 {
		t.Errorf("rejected: %+v", shaped.Reject)
	}
}
