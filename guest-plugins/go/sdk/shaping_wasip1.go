//go:build wasip1

package nozzle

import (
	"fmt"
	"runtime/debug"

	"nozzle/internal/abi"
	"nozzle/internal/layout"
)

// An instance has 64 MiB by default, never gives memory back, and is made anew when it has taken half of it: before that
// it is better to collect more often.
func init() { debug.SetMemoryLimit(28 << 20) }

//go:wasmexport nozzle:plugin/shaping@0.1.0#configure
func exportConfigure(config, len uint32) uint32 {
	abi.Enter()
	defer abi.Fail()
	answer := abi.Block(12)
	if err := configure(abi.String(config, len)); err != nil {
		putError(answer, err)
	}
	abi.Leave()
	return abi.Address(answer)
}

//go:wasmexport cabi_post_nozzle:plugin/shaping@0.1.0#configure
func afterConfigure(uint32) { abi.Release() }

//go:wasmexport nozzle:plugin/shaping@0.1.0#shape
func exportShape(bytes, bytesLen, events, eventsLen, attributes, attributesLen uint32) uint32 {
	abi.Enter()
	defer abi.Fail()
	batch := NewBatch(&layout.Batch{
		Bytes:      abi.Slice[byte](bytes, bytesLen),
		Events:     abi.Slice[layout.EventMeta](events, eventsLen),
		Attributes: abi.Slice[layout.AttributeMeta](attributes, attributesLen),
	})
	answer := abi.Block(36)
	shaped, err := current.Shape(batch)
	if err == nil {
		err = putShaped(answer[4:], &shaped)
	}
	if err != nil {
		clear(answer)
		putError(answer, err)
	}
	abi.Leave()
	return abi.Address(answer)
}

//go:wasmexport cabi_post_nozzle:plugin/shaping@0.1.0#shape
func afterShape(uint32) { abi.Release() }

func putError(answer []byte, err error) {
	answer[0] = 1
	abi.PutString(answer, 4, err.Error())
}

func putHeader(block []byte, header *Header) {
	abi.PutString(block, 0, header.Name)
	abi.PutString(block, 8, header.Value)
}

func putShaped(block []byte, shaped *Shaped) (err error) {
	abi.PutBlocks(block, 0, 16, shaped.Headers, putHeader)
	abi.PutBlocks(block, 8, 68, shaped.Requests, func(block []byte, request *Request) {
		if refused := putRequest(block, request); refused != nil {
			err = refused
		}
	})
	abi.PutList(block, 16, shaped.Drop)
	abi.PutBlocks(block, 24, 12, shaped.Reject, func(block []byte, rejection *Rejection) {
		abi.PutUint32(block, 0, rejection.Event)
		abi.PutString(block, 4, rejection.Reason)
	})
	return err
}

func putRequest(block []byte, request *Request) error {
	method, ok := methods[request.Method]
	if !ok {
		return fmt.Errorf("`%s` is no method, expected GET, HEAD, POST, PUT, PATCH or DELETE", request.Method)
	}
	block[0] = method
	abi.PutOption(block, 4, request.Endpoint, request.Endpoint != "")
	abi.PutString(block, 16, request.Target)
	abi.PutBlocks(block, 24, 16, request.Headers, putHeader)
	switch body := request.Body.(type) {
	case Bytes:
		block[32] = 1
		abi.PutList(block, 36, body)
	case Joined:
		block[32] = 2
		abi.PutString(block, 36, body.Prefix)
		abi.PutString(block, 44, body.Separator)
		abi.PutString(block, 52, body.Suffix)
	}
	abi.PutList(block, 60, request.Events)
	return nil
}

var methods = map[string]byte{"GET": 0, "HEAD": 1, "": 2, "POST": 2, "PUT": 3, "PATCH": 4, "DELETE": 5}
