// Command echo is for the tests of the SDK: it makes use of all of it, as its events and responses ask for. README.md says how.
package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"nozzle"
	"nozzle/handling"
)

type settings struct {
	Refuse string `json:"refuse"`
	// Sleep is how long each call sleeps.
	Sleep int `json:"sleep-ms"`
	// Garbage is how many bytes are thrown away in each call.
	Garbage int `json:"garbage"`
}

type echo struct {
	settings
	kept []byte
}

func newEcho(settings settings) (*echo, error) {
	if settings.Refuse != "" {
		return nil, errors.New(settings.Refuse)
	}
	return &echo{settings: settings}, nil
}

func (e *echo) work() {
	time.Sleep(time.Duration(e.Sleep) * time.Millisecond)
	for made := 0; made < e.Garbage; made += 1 << 16 {
		e.kept = make([]byte, 1<<16)
	}
	if e.Garbage > 0 {
		runtime.GC()
	}
}

func (e *echo) Shape(batch nozzle.Batch) (nozzle.Shaped, error) {
	e.work()
	shaped := nozzle.Shaped{Headers: []nozzle.Header{{Name: "x-all", Value: "1"}}}
	for event := range batch.All() {
		command, rest, _ := strings.Cut(string(event.Data()), " ")
		switch command {
		case "drop":
			shaped.DropEvent(event)
		case "reject":
			shaped.RejectEvent(event, errors.New(rest))
		case "error":
			return shaped, errors.New(rest)
		case "panic":
			panic(rest)
		case "join":
			last := &shaped.Requests[len(shaped.Requests)-1]
			last.Events = append(last.Events, event.Index())
		default:
			shaped.Requests = append(shaped.Requests, request(event, command))
		}
	}
	return shaped, nil
}

func request(event nozzle.Event, command string) nozzle.Request {
	key, ok := event.Key()
	if !ok {
		key = "none"
	}
	made := nozzle.Request{
		Target:  fmt.Sprintf("%s?at=%d", event.ID(), event.Time().UnixMilli()),
		Headers: []nozzle.Header{{Name: "x-key", Value: key}},
		Events:  []uint32{event.Index()},
	}
	made.Method, _ = event.Attribute("method")
	made.Endpoint, _ = event.Attribute("endpoint")
	switch command {
	case "bytes":
		made.Body = nozzle.Bytes(append([]byte("<"), event.Data()...))
	case "joined":
		made.Body = nozzle.Joined{Prefix: "[", Separator: ",", Suffix: "]"}
	}
	return made
}

func (e *echo) Handle(call handling.Call, response *handling.Response, failure error) handling.Handled {
	e.work()
	var why *handling.Failure
	if errors.As(failure, &why) {
		return handling.Handled{Results: []handling.Emission{{Data: []byte(why.Error())}}}
	}
	handled := handling.Handled{Verdict: verdict(response, call.EventCount())}
	request := call.Request()
	about := describe(request, call.Attempt(), response.Truncated)
	events := call.Events()
	for index := range call.EventCount() {
		one, ok := call.Event(index)
		same := events.At(index)
		if !ok || one.ID != same.ID() || string(one.Data) != string(same.Data()) || !one.Time.Equal(same.Time()) {
			panic("an event is not what it is in the batch of the call")
		}
		attributes := append(one.Attributes, nozzle.Header{Name: "about", Value: about})
		handled.Results = append(handled.Results, handling.Emission{Key: one.Key, Attributes: attributes, Data: one.Data})
	}
	if _, ok := call.Event(call.EventCount()); ok {
		panic("an event past the end")
	}
	nozzle.Count("handled", uint64(call.EventCount()))
	nozzle.Log(nozzle.Debug, "handled", nozzle.Field{Name: "events", Value: call.EventCount()})
	return handled
}

func describe(request nozzle.Request, attempt int, truncated bool) string {
	body := "empty"
	switch request.Body.(type) {
	case nozzle.Bytes:
		body = "bytes"
	case nozzle.Joined:
		body = "joined"
	}
	endpoint := request.Endpoint
	if endpoint == "" {
		endpoint = "-"
	}
	header := request.Headers[0]
	about := fmt.Sprintf("%s %s %s %s=%s %s %d", request.Method, endpoint, request.Target, header.Name, header.Value, body, attempt)
	if truncated {
		about += " truncated"
	}
	return about
}

func verdict(response *handling.Response, events int) handling.Verdict {
	wish := ""
	for _, header := range response.Headers {
		if header.Name == "x-verdict" {
			wish = header.Value
		}
	}
	switch wish {
	case "delivered":
		return handling.Delivered()
	case "retry":
		return handling.Retry()
	case "retry-500":
		return handling.RetryAfter(500 * time.Millisecond)
	case "reject":
		return handling.Reject(string(response.Body))
	case "each":
		verdicts := make([]handling.EventVerdict, events)
		kinds := []handling.EventVerdict{handling.EventDelivered, handling.EventRetry, handling.EventReject(string(response.Body))}
		for at := range verdicts {
			verdicts[at] = kinds[at%len(kinds)]
		}
		return handling.Each(verdicts)
	}
	return handling.ByStatus()
}

func init() { handling.Export(settings{}, newEcho) }

func main() {}
