// A call a record: each record is put under its key.
package main

import (
	"errors"
	"net/url"

	"nozzle"
)

// settings is `plugin.config`; what is left out of it has the value of `defaults`.
type settings struct {
	// Target is where the records go, below the endpoint's URL.
	Target string `json:"target"`
}

var defaults = settings{Target: "items"}

type perRecord struct {
	settings
}

func newPerRecord(settings settings) (*perRecord, error) {
	if settings.Target == "" {
		return nil, errors.New("`target` is empty")
	}
	return &perRecord{settings}, nil
}

var errNoKey = errors.New("the record has no key that could be part of a URL")

// Shape puts every event of the batch in exactly one place: a request, Reject or Drop.
func (p *perRecord) Shape(batch nozzle.Batch) (nozzle.Shaped, error) {
	shaped := nozzle.Shaped{Headers: []nozzle.Header{{Name: "content-type", Value: "application/json"}}}
	for event := range batch.All() {
		key, _ := event.Key()
		if key == "" || key == "." || key == ".." {
			shaped.RejectEvent(event, errNoKey)
			continue
		}
		shaped.Requests = append(shaped.Requests, nozzle.Request{
			Method: "PUT",
			Target: p.Target + "/" + url.PathEscape(key),
			Body:   nozzle.Joined{},
			Events: []uint32{event.Index()},
		})
	}
	return shaped, nil
}

func init() { nozzle.Export(defaults, newPerRecord) }

func main() {}
