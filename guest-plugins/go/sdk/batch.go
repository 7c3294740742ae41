package nozzle

import (
	"encoding/json"
	"errors"
	"iter"
	"time"
	"unicode/utf8"

	"nozzle/internal/layout"
)

// Batch is events in the order of their ingress. An event's index is its place here.
//
// Events, and what they return, share the memory of their batch: nothing is copied until it is asked for, and what is
// kept of an event keeps its batch.
type Batch struct {
	raw *layout.Batch
}

// NewBatch is for the SDK itself; tests use nozzletest.
func NewBatch(raw *layout.Batch) Batch { return Batch{raw} }

// Len is how many events there are: at least one.
func (b Batch) Len() int { return len(b.raw.Events) }

// At is the event at an index. It panics past the end, as a slice does.
func (b Batch) At(index int) Event {
	return Event{b.raw, &b.raw.Events[index], uint32(index)}
}

// All is every event, in order.
func (b Batch) All() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for index := range b.raw.Events {
			if !yield(b.At(index)) {
				return
			}
		}
	}
}

// Indices is the index of every event: what a request that delivers all of them names.
func (b Batch) Indices() []uint32 {
	indices := make([]uint32, b.Len())
	for index := range indices {
		indices[index] = uint32(index)
	}
	return indices
}

// Event is one record read from an ingress.
type Event struct {
	batch *layout.Batch
	meta  *layout.EventMeta
	index uint32
}

// Index is the event's place in its batch.
func (e Event) Index() uint32 { return e.index }

// ID is where the record stands in its ingress: unique, and the same on every redelivery.
func (e Event) ID() string { return e.batch.Text(e.meta.ID) }

// Key is the record's key, if it has one.
func (e Event) Key() (key string, ok bool) {
	if !e.meta.HasKey {
		return "", false
	}
	return e.batch.Text(e.meta.Key), true
}

// Time is when the record entered the ingress.
func (e Event) Time() time.Time { return time.UnixMilli(int64(e.meta.TimestampMS)).UTC() }

// Data is the record itself: any bytes. They must not be changed.
func (e Event) Data() []byte { return e.batch.Slice(e.meta.Data) }

var (
	errNoUTF8 = errors.New("the record is no JSON: it is no UTF-8")
	errNoJSON = errors.New("the record is no JSON")
)

// JSON is the record, if it is one JSON value in UTF-8. The error fits a rejection.
func (e Event) JSON() (json.RawMessage, error) {
	data := e.Data()
	switch {
	case !utf8.Valid(data):
		return nil, errNoUTF8
	case !json.Valid(data):
		return nil, errNoJSON
	}
	return data, nil
}

// Attributes is the names and values that the ingress has added.
func (e Event) Attributes() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		first, count := uint64(e.meta.FirstAttribute), uint64(e.meta.AttributeCount)
		for at := first; at < min(first+count, uint64(len(e.batch.Attributes))); at++ {
			attribute := e.batch.Attributes[at]
			if !yield(e.batch.Text(attribute.Name), e.batch.Text(attribute.Value)) {
				return
			}
		}
	}
}

// Attribute is the value of one attribute, if the event has it.
func (e Event) Attribute(name string) (value string, ok bool) {
	for other, value := range e.Attributes() {
		if other == name {
			return value, true
		}
	}
	return "", false
}
