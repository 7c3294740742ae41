package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"nozzle/handling"
)

// verdicts reads one verdict for each item: `{"status": …}`, and Elasticsearch's `{"index": {"status": …}}`.
func (b *bulk) verdicts(body []byte, events int) ([]handling.EventVerdict, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("it is no UTF-8")
	}
	var answer struct {
		Items []map[string]json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if len(answer.Items) != events {
		return nil, fmt.Errorf("%d items for %d events", len(answer.Items), events)
	}
	verdicts := make([]handling.EventVerdict, events)
	for at, item := range answer.Items {
		verdict, err := b.verdict(item)
		if err != nil {
			return nil, err
		}
		verdicts[at] = verdict
	}
	return verdicts, nil
}

func (b *bulk) verdict(item map[string]json.RawMessage) (handling.EventVerdict, error) {
	if item["status"] == nil {
		item = inner(item)
	}
	if item == nil {
		return handling.EventVerdict{}, errors.New("an item without a status")
	}
	status, err := strconv.ParseUint(string(item["status"]), 10, 16)
	switch {
	case err != nil:
		return handling.EventVerdict{}, errors.New("a status that is no number")
	case status >= 200 && status < 300 || slices.Contains(b.Delivered, uint16(status)):
		return handling.EventDelivered, nil
	case status == 408 || status == 425 || status == 429 || status >= 500 && status < 600:
		return handling.EventRetry, nil
	case status >= 400 && status < 500:
		return handling.EventReject(reason(status, item["error"])), nil
	}
	return handling.EventVerdict{}, fmt.Errorf("an item of status %d", status)
}

// inner is the item's value that has a status, nil if none has.
func inner(item map[string]json.RawMessage) map[string]json.RawMessage {
	for _, name := range slices.Sorted(maps.Keys(item)) {
		var value map[string]json.RawMessage
		if json.Unmarshal(item[name], &value) == nil && value["status"] != nil {
			return value
		}
	}
	return nil
}

func reason(status uint64, problem json.RawMessage) string {
	if problem == nil {
		return fmt.Sprintf("item status %d", status)
	}
	text := string(problem)
	var described struct {
		Reason *string `json:"reason"`
	}
	if json.Unmarshal(problem, &text) != nil && json.Unmarshal(problem, &described) == nil && described.Reason != nil {
		text = *described.Reason
	}
	if characters := []rune(text); len(characters) > 200 {
		text = string(characters[:200])
	}
	return fmt.Sprintf("item status %d: %s", status, text)
}
