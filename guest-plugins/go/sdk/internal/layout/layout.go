// Package layout has the records of the contract that pass as they lie in memory (wit/types.wit).
package layout

import "unsafe"

// Span is a run of bytes in Batch.Bytes.
type Span struct {
	Start, Len uint32
}

// EventMeta is one event, as places in its batch.
type EventMeta struct {
	TimestampMS    uint64
	ID             Span
	HasKey         bool
	Key            Span
	Data           Span
	FirstAttribute uint32
	AttributeCount uint32
}

// AttributeMeta is one attribute of an event.
type AttributeMeta struct {
	Name, Value Span
}

// Batch is what the host passes: the spans of Events and Attributes lie in Bytes.
type Batch struct {
	Bytes      []byte
	Events     []EventMeta
	Attributes []AttributeMeta
}

// The canonical ABI's sizes; a field that moves does not compile.
const (
	_ = -(unsafe.Sizeof(EventMeta{}) ^ 48)
	_ = -(unsafe.Offsetof(EventMeta{}.Key) ^ 20)
	_ = -(unsafe.Offsetof(EventMeta{}.AttributeCount) ^ 40)
	_ = -(unsafe.Sizeof(AttributeMeta{}) ^ 16)
)

// Slice is the bytes of a span, none if it lies outside.
func (b *Batch) Slice(span Span) []byte {
	start, end := uint64(span.Start), uint64(span.Start)+uint64(span.Len)
	if end > uint64(len(b.Bytes)) {
		return nil
	}
	return b.Bytes[start:end:end]
}

// Text is the bytes of a span, as a string that shares them.
func (b *Batch) Text(span Span) string {
	part := b.Slice(span)
	return unsafe.String(unsafe.SliceData(part), len(part))
}
