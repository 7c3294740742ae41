//go:build wasip1

package handling

import (
	"time"

	"nozzle"
	"nozzle/internal/abi"
	"nozzle/internal/layout"
)

//go:wasmexport nozzle:plugin/handling@0.1.0#handle
func exportHandle(isFailure, first, second, third, fourth, fifth, sixth uint32) uint32 {
	abi.Enter()
	defer abi.Fail()
	var response *Response
	var failure error
	if isFailure == 0 {
		response = &Response{
			Status:    int(first),
			Headers:   getHeaders(second, third),
			Body:      abi.Slice[byte](fourth, fifth),
			Truncated: sixth != 0,
		}
	} else {
		why := &Failure{Kind: Kind(first)}
		if why.Kind != Timeout {
			why.Text = abi.String(second, third)
		}
		failure = why
	}
	handled := nozzle.Current().(Plugin).Handle(hostCall{}, response, failure)
	answer := abi.Block(32)
	putVerdict(answer, &handled.Verdict)
	abi.PutBlocks(answer, 24, 28, handled.Results, putEmission)
	abi.Leave()
	return abi.Address(answer)
}

//go:wasmexport cabi_post_nozzle:plugin/handling@0.1.0#handle
func afterHandle(uint32) { abi.Release() }

func putVerdict(block []byte, verdict *Verdict) {
	block[0] = byte(verdict.kind)
	switch verdict.kind {
	case retry:
		if verdict.after != nil {
			block[8] = 1
			abi.PutUint64(block, 16, uint64(max(verdict.after.Milliseconds(), 0)))
		}
	case reject:
		abi.PutString(block, 8, verdict.reason)
	case each:
		abi.PutBlocks(block, 8, 12, verdict.each, func(block []byte, one *EventVerdict) {
			block[0] = byte(one.kind)
			abi.PutString(block, 4, one.reason)
		})
	}
}

func putEmission(block []byte, emission *Emission) {
	if emission.Key != nil {
		abi.PutOption(block, 0, *emission.Key, true)
	}
	abi.PutBlocks(block, 12, 16, emission.Attributes, func(block []byte, attribute *nozzle.Header) {
		abi.PutString(block, 0, attribute.Name)
		abi.PutString(block, 8, attribute.Value)
	})
	abi.PutList(block, 20, emission.Data)
}

func getHeaders(start, len uint32) []nozzle.Header {
	pairs := abi.Slice[[4]uint32](start, len)
	headers := make([]nozzle.Header, len)
	for at, pair := range pairs {
		headers[at] = nozzle.Header{Name: abi.String(pair[0], pair[1]), Value: abi.String(pair[2], pair[3])}
	}
	return headers
}

// hostCall asks the host.
type hostCall struct{}

//go:wasmimport nozzle:plugin/current-call@0.1.0 attempt
func importAttempt() uint32

//go:wasmimport nozzle:plugin/current-call@0.1.0 get-request
func importGetRequest(answer uint32)

//go:wasmimport nozzle:plugin/current-call@0.1.0 event-count
func importEventCount() uint32

//go:wasmimport nozzle:plugin/current-call@0.1.0 get-event
func importGetEvent(index, answer uint32)

//go:wasmimport nozzle:plugin/current-call@0.1.0 get-events
func importGetEvents(answer uint32)

func (hostCall) Attempt() int    { return int(importAttempt()) }
func (hostCall) EventCount() int { return int(importEventCount()) }

func (hostCall) Request() nozzle.Request {
	answer := abi.Block(68)
	abi.Leave()
	importGetRequest(abi.Address(answer))
	abi.Enter()
	request := nozzle.Request{
		Method:  [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}[answer[0]],
		Target:  abi.GetString(answer, 16),
		Headers: getHeaders(abi.Uint32(answer, 24), abi.Uint32(answer, 28)),
		Events:  abi.GetList[uint32](answer, 60),
	}
	if answer[4] != 0 {
		request.Endpoint = abi.GetString(answer, 8)
	}
	switch answer[32] {
	case 1:
		request.Body = nozzle.Bytes(abi.GetList[byte](answer, 36))
	case 2:
		request.Body = nozzle.Joined{
			Prefix:    abi.GetString(answer, 36),
			Separator: abi.GetString(answer, 44),
			Suffix:    abi.GetString(answer, 52),
		}
	}
	return request
}

func (hostCall) Event(index int) (Event, bool) {
	answer := abi.Block(56)
	abi.Leave()
	importGetEvent(uint32(index), abi.Address(answer))
	abi.Enter()
	if index < 0 || answer[0] == 0 {
		return Event{}, false
	}
	event := Event{
		ID:         abi.GetString(answer, 8),
		Time:       time.UnixMilli(int64(abi.Uint64(answer, 32))).UTC(),
		Attributes: getHeaders(abi.Uint32(answer, 40), abi.Uint32(answer, 44)),
		Data:       abi.GetList[byte](answer, 48),
	}
	if answer[16] != 0 {
		key := abi.GetString(answer, 20)
		event.Key = &key
	}
	return event, true
}

func (hostCall) Events() nozzle.Batch {
	answer := abi.Block(24)
	abi.Leave()
	importGetEvents(abi.Address(answer))
	abi.Enter()
	return nozzle.NewBatch(&layout.Batch{
		Bytes:      abi.GetList[byte](answer, 0),
		Events:     abi.GetList[layout.EventMeta](answer, 8),
		Attributes: abi.GetList[layout.AttributeMeta](answer, 16),
	})
}
