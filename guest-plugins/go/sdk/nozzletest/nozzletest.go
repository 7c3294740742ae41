// Package nozzletest makes batches for tests, which run natively.
package nozzletest

import (
	"strconv"

	"nozzle"
	"nozzle/internal/layout"
)

// Event is an event of a batch for a test.
type Event struct {
	// ID is its index where it is "".
	ID string
	// Key is none where it is nil.
	Key         *string
	Data        string
	TimestampMS uint64
	Attributes  map[string]string
}

// Records is a batch of these records, without keys.
func Records(records ...string) nozzle.Batch {
	events := make([]Event, len(records))
	for at, record := range records {
		events[at].Data = record
	}
	return Batch(events...)
}

// Batch is a batch of these events.
func Batch(events ...Event) nozzle.Batch {
	var raw layout.Batch
	span := func(text string) layout.Span {
		start := len(raw.Bytes)
		raw.Bytes = append(raw.Bytes, text...)
		return layout.Span{Start: uint32(start), Len: uint32(len(text))}
	}
	for at, event := range events {
		meta := layout.EventMeta{TimestampMS: event.TimestampMS, FirstAttribute: uint32(len(raw.Attributes))}
		if event.ID == "" {
			event.ID = strconv.Itoa(at)
		}
		meta.ID = span(event.ID)
		if event.Key != nil {
			meta.HasKey, meta.Key = true, span(*event.Key)
		}
		meta.Data = span(event.Data)
		for name, value := range event.Attributes {
			raw.Attributes = append(raw.Attributes, layout.AttributeMeta{Name: span(name), Value: span(value)})
			meta.AttributeCount++
		}
		raw.Events = append(raw.Events, meta)
	}
	return nozzle.NewBatch(&raw)
}
