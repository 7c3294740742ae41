// Bulk with partial failures: the records as one JSON array, and an answer that says what became of each.
package main

import (
	"encoding/json"
	"fmt"

	"nozzle"
	"nozzle/handling"
)

// settings is `plugin.config`; what is left out of it has the value of `defaults`.
type settings struct {
	// Target is where the batches go, below the endpoint's URL.
	Target string `json:"target"`
}

var defaults = settings{Target: "bulk"}

type bulk struct {
	settings
}

func newBulk(settings settings) (*bulk, error) {
	return &bulk{settings}, nil
}

// Shape sends all records that are JSON in one request: one that is none would have the answer's items belong to others.
func (b *bulk) Shape(batch nozzle.Batch) (nozzle.Shaped, error) {
	shaped := nozzle.Shaped{Headers: []nozzle.Header{{Name: "content-type", Value: "application/json"}}}
	var events []uint32
	for event := range batch.All() {
		if _, err := event.JSON(); err != nil {
			shaped.RejectEvent(event, err)
			continue
		}
		events = append(events, event.Index())
	}
	if len(events) > 0 {
		shaped.Requests = []nozzle.Request{{
			Target: b.Target,
			// The host writes the records between these: they need not be copied here.
			Body:   nozzle.Joined{Prefix: "[", Separator: ",", Suffix: "]"},
			Events: events,
		}}
	}
	return shaped, nil
}

// Handle reads the answer: {"items":[{"status":201},{"status":429},{"status":400,"error":"…"}]}.
func (b *bulk) Handle(call handling.Call, response *handling.Response, failure error) handling.Handled {
	if failure != nil || !response.OK() {
		// The sink's status policy knows what to do with a 429, a 503, or no answer at all.
		return handling.Handled{Verdict: handling.ByStatus()}
	}
	verdicts, err := read(response.Body, call.EventCount())
	if err != nil {
		// Nobody has said that they are stored.
		nozzle.Log(nozzle.Warn, "the response is no bulk response", nozzle.Field{Name: "error", Value: err})
		return handling.Handled{Verdict: handling.Retry()}
	}
	return handling.Handled{Verdict: handling.Each(verdicts)}
}

func read(body []byte, events int) ([]handling.EventVerdict, error) {
	var answer struct {
		Items []struct {
			Status int `json:"status"`
			// A text, or whatever the service says.
			Error json.RawMessage `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if len(answer.Items) != events {
		return nil, fmt.Errorf("%d items for %d events", len(answer.Items), events)
	}
	verdicts := make([]handling.EventVerdict, events)
	for at, item := range answer.Items {
		switch status := item.Status; {
		case status >= 200 && status < 300:
			verdicts[at] = handling.EventDelivered
		case status == 408 || status == 425 || status == 429 || status >= 500 && status < 600:
			verdicts[at] = handling.EventRetry
		case status >= 400 && status < 500:
			verdicts[at] = handling.EventReject(fmt.Sprintf("item status %d: %s", status, said(item.Error)))
		default:
			return nil, fmt.Errorf("an item of status %d", status)
		}
	}
	return verdicts, nil
}

// said is what a service says of an item: a text, or any other JSON as it is written.
func said(raw json.RawMessage) string {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return string(raw)
	}
	return text
}

func init() { handling.Export(defaults, newBulk) }

func main() {}
