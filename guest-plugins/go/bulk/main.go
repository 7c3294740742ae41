// Command bulk is a plugin for NDJSON bulk APIs, as Elasticsearch's `_bulk`: an action line and a data line for each
// record, and a response with one item for each. Only the items that failed are sent again.
package main

import (
	"encoding/json"

	"nozzle"
	"nozzle/handling"
)

// settings is `plugin.config`.
type settings struct {
	// Target is resolved against the endpoint's URL.
	Target string `json:"target"`
	// Action is the operation of the action line.
	Action string `json:"action"`
	// ActionFields is further keys of the action, such as `_index`.
	ActionFields json.RawMessage `json:"action-fields"`
	// IDField is the action's key for the event's id, so that an item that is sent twice is stored once; "" for none.
	IDField string `json:"id-field"`
	// KeyField is the action's key for the event's key, such as `routing`; "" for none.
	KeyField string `json:"key-field"`
	// Delivered is item statuses that mean that the item is there already.
	Delivered []uint16 `json:"delivered"`
}

var defaults = settings{Target: "_bulk", Action: "index", ActionFields: json.RawMessage("{}"), IDField: "_id"}

type bulk struct {
	settings
	action action
}

func newBulk(settings settings) (*bulk, error) {
	action, err := newAction(settings)
	return &bulk{settings, action}, err
}

// Shape makes one request of the records that are JSON.
func (b *bulk) Shape(batch nozzle.Batch) (nozzle.Shaped, error) {
	shaped := nozzle.Shaped{Headers: []nozzle.Header{{Name: "content-type", Value: "application/x-ndjson"}}}
	var body nozzle.Bytes
	var events []uint32
	for event := range batch.All() {
		record, err := event.JSON()
		if err != nil {
			shaped.RejectEvent(event, err)
			continue
		}
		body = b.action.appendLine(body, event)
		body = appendOneLine(body, record)
		events = append(events, event.Index())
	}
	if len(events) > 0 {
		shaped.Requests = []nozzle.Request{{Target: b.Target, Body: body, Events: events}}
	}
	return shaped, nil
}

// Handle reads what became of each item. A bulk API that does not say it has not said that they are stored.
func (b *bulk) Handle(call handling.Call, response *handling.Response, failure error) handling.Handled {
	if failure != nil || !response.OK() {
		return handling.Handled{Verdict: handling.ByStatus()}
	}
	verdicts, err := b.verdicts(response.Body, call.EventCount())
	if err != nil {
		nozzle.Log(nozzle.Warn, "the response is no bulk response", nozzle.Field{Name: "error", Value: err})
		return handling.Handled{Verdict: handling.Retry()}
	}
	for _, verdict := range verdicts {
		if verdict != handling.EventDelivered {
			return handling.Handled{Verdict: handling.Each(verdicts)}
		}
	}
	return handling.Handled{Verdict: handling.Delivered()}
}

func init() { handling.Export(defaults, newBulk) }

func main() {}
