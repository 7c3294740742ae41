//go:build wasip1

package nozzle

import (
	"unsafe"

	"nozzle/internal/abi"
)

//go:wasmimport nozzle:plugin/host@0.1.0 log
func importLog(level, message, messageLen, fields, fieldsLen uint32)

//go:wasmimport nozzle:plugin/host@0.1.0 count
func importCount(name, nameLen uint32, by uint64)

func hostLog(level Level, message string, fields []Header) {
	mark := abi.Mark()
	defer abi.ReleaseTo(mark)
	block := abi.Block(8)
	abi.PutBlocks(block, 0, 16, fields, putHeader)
	text := abi.Hold(unsafe.Pointer(unsafe.StringData(message)))
	importLog(uint32(level), text, uint32(len(message)), abi.Uint32(block, 0), abi.Uint32(block, 4))
}

func hostCount(name string, by uint64) {
	mark := abi.Mark()
	defer abi.ReleaseTo(mark)
	importCount(abi.Hold(unsafe.Pointer(unsafe.StringData(name))), uint32(len(name)), by)
}

// hostReady ends the start.
func hostReady() { abi.Leave() }
