//go:build !wasip1

package nozzle

import (
	"fmt"
	"os"
)

func hostLog(level Level, message string, fields []Header) {
	fmt.Fprintln(os.Stderr, level, message, fields)
}

func hostCount(string, uint64) {}

func hostReady() {}
