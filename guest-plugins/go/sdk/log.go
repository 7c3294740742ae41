package nozzle

import "fmt"

// Level is how much a line of the log matters.
type Level uint8

// The levels, from what is for those who look for a fault to what someone must act on.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Field is what varies in a line of the log.
type Field struct {
	Name  string
	Value any
}

// Log writes a line into the host's log, under the sink's id. A message is best a constant, with what varies in
// fields. Outside a plugin, in tests, it goes to standard error.
func Log(level Level, message string, fields ...Field) {
	texts := make([]Header, len(fields))
	for at, field := range fields {
		texts[at] = Header{field.Name, fmt.Sprint(field.Value)}
	}
	hostLog(level, message, texts)
}

// Count adds to the counter nozzle_plugin_<name>_total. A name is lower-case letters, digits and underscores, at most
// 64 of them.
func Count(name string, by uint64) { hostCount(name, by) }
