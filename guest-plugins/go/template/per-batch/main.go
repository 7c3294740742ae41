// A call a batch: the records are sent as one JSON array.
package main

import "nozzle"

// settings is `plugin.config`; what is left out of it has the value of `defaults`.
type settings struct {
	// Target is where the batches go, below the endpoint's URL.
	Target string `json:"target"`
}

var defaults = settings{Target: "batches"}

type perBatch struct {
	settings
}

func newPerBatch(settings settings) (*perBatch, error) {
	return &perBatch{settings}, nil
}

// Shape puts every event of the batch in exactly one place: the request, or Reject.
func (p *perBatch) Shape(batch nozzle.Batch) (nozzle.Shaped, error) {
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
			Target: p.Target,
			// The host writes the records between these: they need not be copied here.
			Body:   nozzle.Joined{Prefix: "[", Separator: ",", Suffix: "]"},
			Events: events,
		}}
	}
	return shaped, nil
}

func init() { nozzle.Export(defaults, newPerBatch) }

func main() {}
