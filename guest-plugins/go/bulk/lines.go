package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"nozzle"
)

// action writes action lines. What is the same for every record is made once.
type action struct {
	// head is the line up to the values from the record: `{"index":{"_index":"weather"`.
	head []byte
	// bare says that head ends in an object without keys.
	bare bool
	// id and key are the names of the id and of the key, as JSON; nil where they are left out.
	id, key []byte
}

func newAction(settings settings) (action, error) {
	if settings.Action == "" {
		return action{}, errors.New("`action` is empty")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(settings.ActionFields, &fields); err != nil || fields == nil {
		return action{}, errors.New("`action-fields` are not keys and values")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == settings.IDField || name == settings.KeyField {
			return action{}, fmt.Errorf("`%s` stands twice in the action", name)
		}
	}
	if settings.IDField != "" && settings.IDField == settings.KeyField {
		return action{}, fmt.Errorf("`%s` stands for the id and for the key", settings.IDField)
	}
	made := action{bare: len(fields) == 0}
	var compact bytes.Buffer
	if err := json.Compact(&compact, settings.ActionFields); err != nil {
		return action{}, err
	}
	made.head = append(quoted(nil, settings.Action), ':')
	made.head = append([]byte{'{'}, append(made.head, bytes.TrimSuffix(compact.Bytes(), []byte{'}'})...)...)
	if settings.IDField != "" {
		made.id = append(quoted(nil, settings.IDField), ':')
	}
	if settings.KeyField != "" {
		made.key = append(quoted(nil, settings.KeyField), ':')
	}
	return made, nil
}

// appendLine appends the line of one event, with its end.
func (a *action) appendLine(body []byte, event nozzle.Event) []byte {
	body = append(body, a.head...)
	first := a.bare
	appendField := func(name []byte, value string) {
		if !first {
			body = append(body, ',')
		}
		first = false
		body = quoted(append(body, name...), value)
	}
	if a.id != nil {
		appendField(a.id, event.ID())
	}
	if key, ok := event.Key(); ok && a.key != nil {
		appendField(a.key, key)
	}
	return append(body, "}}\n"...)
}

// appendOneLine appends JSON on one line. It has no line ends inside strings, so that leaving them out changes nothing.
func appendOneLine(body []byte, record []byte) []byte {
	if bytes.ContainsAny(record, "\r\n") {
		for _, one := range record {
			if one != '\r' && one != '\n' {
				body = append(body, one)
			}
		}
	} else {
		body = append(body, record...)
	}
	return append(body, '\n')
}

// quoted appends text as a JSON string.
func quoted(to []byte, text string) []byte {
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	// A string can always be written.
	_ = encoder.Encode(text)
	return append(to, bytes.TrimSuffix(quoted.Bytes(), []byte{'\n'})...)
}
