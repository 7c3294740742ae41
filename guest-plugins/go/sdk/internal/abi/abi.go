//go:build wasip1

// Package abi passes values to and from the host, as the canonical ABI of the component model has it.
//
// What the host writes into the plugin is memory of Go's own heap: it is held until the call has ended, and for as
// long as something refers to it. So is what the plugin passes to the host. Addresses are numbers to the collector,
// which is why each has its pointer in `held`.
package abi

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"unsafe"
)

var held []unsafe.Pointer

// mayLeave says whether the host may be called, which it may not while it gets or gives back memory: Go's scheduler
// asks for the time then too. The adapter answers in its place (sdk/adapter/wasip1.wat).
//
//go:wasmimport wasi_snapshot_preview1 nozzle_may_leave
func mayLeave(may uint32)

// Enter begins what the plugin does on its own account: the host may be called.
func Enter() { mayLeave(1) }

// Leave ends it: at the end of each export, of the start, and around imports that pass memory. It is not deferred, as what a panic
// has to say would be dropped.
func Leave() { mayLeave(0) }

// Fail, deferred by each export, ends the instance after a panic. Where it happened is printed first, and why last: that is
// what the host repeats when it says what became of the call.
func Fail() {
	if why := recover(); why != nil {
		os.Stderr.Write(debug.Stack())
		fmt.Fprintf(os.Stderr, "panic: %v\n", why)
		os.Exit(2)
	}
}

// realloc is where the host gets memory for what it passes.
//
//go:wasmexport cabi_realloc
func realloc(old, oldSize, align, size uint32) uint32 {
	if size == 0 {
		return align
	}
	block := Block(int(size))
	if old != 0 {
		copy(block, Slice[byte](old, oldSize))
	}
	return address(unsafe.Pointer(unsafe.SliceData(block)))
}

// Block is memory for what the host reads or writes: zero, and aligned for any value.
func Block(size int) []byte {
	words := make([]uint64, (size+7)/8)
	start := unsafe.Pointer(unsafe.SliceData(words))
	held = append(held, start)
	return unsafe.Slice((*byte)(start), size)
}

// Release lets go of everything that was held for the call.
func Release() {
	clear(held)
	held = held[:0]
	if cap(held) > 1<<16 {
		held = nil
	}
}

// Mark and ReleaseTo hold for a part of a call.
func Mark() int { return len(held) }

// ReleaseTo lets go of what was held since the mark.
func ReleaseTo(mark int) {
	clear(held[mark:])
	held = held[:mark]
}

func address(pointer unsafe.Pointer) uint32 {
	return uint32(uintptr(pointer))
}

// Hold is the address of what the pointer points to, which stays there until Release.
func Hold(pointer unsafe.Pointer) uint32 {
	held = append(held, pointer)
	return address(pointer)
}

// Slice is the list at an address.
func Slice[T any](start, len uint32) []T {
	if len == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(uintptr(start))), len)
}

// String is the string at an address.
func String(start, len uint32) string {
	if len == 0 {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Pointer(uintptr(start))), len)
}

// Uint32 reads a number of a block.
func Uint32(block []byte, at int) uint32 { return binary.LittleEndian.Uint32(block[at:]) }

// Uint64 reads a number of a block.
func Uint64(block []byte, at int) uint64 { return binary.LittleEndian.Uint64(block[at:]) }

// GetString reads a string of a block.
func GetString(block []byte, at int) string { return String(Uint32(block, at), Uint32(block, at+4)) }

// GetList reads a list of a block.
func GetList[T any](block []byte, at int) []T {
	return Slice[T](Uint32(block, at), Uint32(block, at+4))
}

// GetBlocks reads a list of records of a block, each of `size` bytes.
func GetBlocks(block []byte, at, size int) [][]byte {
	count := int(Uint32(block, at+4))
	all := Slice[byte](Uint32(block, at), uint32(count*size))
	blocks := make([][]byte, count)
	for i := range blocks {
		blocks[i] = all[i*size : (i+1)*size]
	}
	return blocks
}

// PutUint32 writes a number into a block.
func PutUint32(block []byte, at int, value uint32) { binary.LittleEndian.PutUint32(block[at:], value) }

// PutUint64 writes a number into a block.
func PutUint64(block []byte, at int, value uint64) { binary.LittleEndian.PutUint64(block[at:], value) }

// PutString writes a string into a block.
func PutString(block []byte, at int, value string) {
	PutUint32(block, at, Hold(unsafe.Pointer(unsafe.StringData(value))))
	PutUint32(block, at+4, uint32(len(value)))
}

// PutList writes a list of numbers or bytes into a block.
func PutList[T byte | uint32](block []byte, at int, list []T) {
	PutUint32(block, at, Hold(unsafe.Pointer(unsafe.SliceData(list))))
	PutUint32(block, at+4, uint32(len(list)))
}

// PutBlocks writes a list of records into a block, each of `size` bytes; `put` writes one.
func PutBlocks[T any](block []byte, at, size int, list []T, put func(block []byte, value *T)) {
	all := Block(len(list) * size)
	for i := range list {
		put(all[i*size:(i+1)*size], &list[i])
	}
	PutUint32(block, at, address(unsafe.Pointer(unsafe.SliceData(all))))
	PutUint32(block, at+4, uint32(len(list)))
}

// PutOption writes a string that may be missing into a block of 12 bytes.
func PutOption(block []byte, at int, value string, is bool) {
	if is {
		block[at] = 1
		PutString(block, at+4, value)
	}
}

// Address is where a block lies. It must be held.
func Address(block []byte) uint32 { return address(unsafe.Pointer(unsafe.SliceData(block))) }
