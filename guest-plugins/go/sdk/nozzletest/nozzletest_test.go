package nozzletest

import (
	"maps"
	"testing"
	"time"
)

func TestABatchIsReadAsItWasMade(t *testing.T) {
	key := "k\u00e9y"
	batch := Batch(
		Event{ID: "f:1", Key: &key, Data: "one", TimestampMS: 1500, Attributes: map[string]string{"a": "b", "c": ""}},
		Event{Data: `{"n":1}`},
		Event{Data: "\"\xff\""},
	)

	first, second, third := batch.At(0), batch.At(1), batch.At(2)

	if found, ok := first.Key(); !ok || found != key || first.ID() != "f:1" || string(first.Data()) != "one" {
		t.Errorf("%q %q %q", found, first.ID(), first.Data())
	}
	if !first.Time().Equal(time.UnixMilli(1500)) {
		t.Error(first.Time())
	}
	if found := maps.Collect(first.Attributes()); !maps.Equal(found, map[string]string{"a": "b", "c": ""}) {
		t.Error(found)
	}
	if _, ok := second.Key(); ok || second.ID() != "1" || second.Index() != 1 {
		t.Error("a key")
	}
	if _, ok := second.Attribute("a"); ok {
		t.Error("an attribute of another event")
	}
	if _, err := first.JSON(); err == nil {
		t.Error("`one` is no JSON")
	}
	if record, err := second.JSON(); err != nil || string(record) != `{"n":1}` {
		t.Error(err)
	}
	if _, err := third.JSON(); err == nil {
		t.Error("FF is no UTF-8")
	}
	if batch.Len() != 3 || len(batch.Indices()) != 3 {
		t.Error(batch.Len())
	}
}
